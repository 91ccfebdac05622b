# Uses ccache where it is installed, unless the caller chose a launcher.
find_program(PERSISTING_CCACHE ccache)
mark_as_advanced(PERSISTING_CCACHE)
foreach(language IN ITEMS C CXX)
  if(PERSISTING_CCACHE AND NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
    set(CMAKE_${language}_COMPILER_LAUNCHER "${PERSISTING_CCACHE}")
  endif()
endforeach()
