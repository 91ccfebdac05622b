# The warnings of our own code. Third-party headers are SYSTEM includes and stay silent.
# maybe-uninitialized and restrict are off because GCC 12 raises them falsely inside std::variant and
# std::string.
function(persisting_warnings target)
  target_compile_options(
    ${target}
    PRIVATE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-restrict>
            $<$<BOOL:${PERSISTING_WERROR}>:-Werror>)
endfunction()
