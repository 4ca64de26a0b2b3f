"""A file that CMake includes after project(), to put right what the tree's own lists get wrong.

At the end of the top directory, when every source has its `-gencode` options, those for an
architecture that no planned GPU runs are rewritten. The tree itself is not touched.
"""

from pathlib import Path
from typing import Final

from vllm_forge.run.files import write_atomically

TEXT: Final = """\
# Written by vllm-forge: VLLM_FORGE_ARCHITECTURES is a list of WRONG=RIGHT, as 87=80.
function(vllm_forge_mend_architectures)
  get_property(targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
      get_property(options SOURCE "${source}" PROPERTY COMPILE_OPTIONS)
      set(mended "${options}")
      foreach(pair IN LISTS VLLM_FORGE_ARCHITECTURES)
        string(REPLACE "=" ";" pair "${pair}")
        list(GET pair 0 wrong)
        list(GET pair 1 right)
        string(REPLACE "compute_${wrong},code=sm_${wrong}" "compute_${right},code=sm_${right}"
               mended "${mended}")
      endforeach()
      if(NOT mended STREQUAL options)
        set_property(SOURCE "${source}" PROPERTY COMPILE_OPTIONS "${mended}")
      endif()
    endforeach()
  endforeach()
endfunction()
if(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
  cmake_language(DEFER CALL vllm_forge_mend_architectures)
endif()
"""


def write_cmake_hook(path: Path) -> None:
    write_atomically(path, TEXT)
