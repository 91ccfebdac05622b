# Sanitizers apply to everything compiled here, nanoarrow included: a half-instrumented program
# reports false errors.
if(PERSISTING_SANITIZE STREQUAL "address")
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(PERSISTING_SANITIZE STREQUAL "thread")
  set(flags -fsanitize=thread)
elseif(NOT PERSISTING_SANITIZE STREQUAL "")
  message(FATAL_ERROR "PERSISTING_SANITIZE is '${PERSISTING_SANITIZE}': want address, thread or \"\"")
endif()

# Every layer tells the fuzzers which way an input took through it.
if(PERSISTING_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PERSISTING_BUILD_FUZZERS wants clang: libFuzzer is a part of it")
  endif()
  list(APPEND flags -fsanitize=fuzzer-no-link -fno-sanitize-coverage=stack-depth)
endif()

if(flags)
  add_compile_options(${flags} -fno-omit-frame-pointer)
  add_link_options(${flags})
endif()
