"""The files by which CMake leaves sources out, without a change to the tree.

`CMAKE_PROJECT_TOP_LEVEL_INCLUDES` makes CMake read ours at the first `project()`; it defers a
function to the end of the folder, when every target has its sources. Left-out sources are taken
off them. What the remaining ones would take from those is defined before linking
(workers/left_out_symbols.py), and operators whose implementation is gone get one that refuses.
"""

import json
import shutil
from pathlib import Path
from typing import Final

from vllm_forge.plan.steps import SPECIALIZE_FILE
from vllm_forge.records.plan import Specialize
from vllm_forge.records.specialization import RefusedOperator
from vllm_forge.run.files import write_atomically
from vllm_forge.run.store.digests import digest_of

WORKER: Final = Path(__file__).parent / "workers" / "left_out_symbols.py"

CMAKE: Final = """\
# Written by vllm-forge: what --specialize leaves out. Read at the first project(), by
# CMake's own CMAKE_PROJECT_TOP_LEVEL_INCLUDES; nothing in the tree is changed.
if(NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
  return()
endif()

function(vllm_forge_specialize)
  foreach(name IN LISTS VLLM_FORGE_TARGETS)
    if(TARGET ${{name}})
      vllm_forge_leave_out(${{name}})
    endif()
  endforeach()
endfunction()

function(vllm_forge_leave_out name)
  get_target_property(sources ${{name}} SOURCES)
  set(kept "")
  set(gone "")
  foreach(source IN LISTS sources)
    get_filename_component(absolute "${{source}}" ABSOLUTE BASE_DIR "${{CMAKE_SOURCE_DIR}}")
    file(RELATIVE_PATH inside "${{CMAKE_SOURCE_DIR}}" "${{absolute}}")
    if(inside IN_LIST VLLM_FORGE_LEFT_OUT_${{name}})
      list(APPEND gone "${{inside}}")
    else()
      list(APPEND kept "${{source}}")
    endif()
  endforeach()
  foreach(listed IN LISTS VLLM_FORGE_LEFT_OUT_${{name}})
    if(NOT listed IN_LIST gone)
      message(FATAL_ERROR "vllm-forge: ${{name}} does not compile ${{listed}}: plan it again")
    endif()
  endforeach()
  list(LENGTH gone count)
  list(LENGTH kept rest)
  message(STATUS "vllm-forge: ${{name}}: ${{count}} files left out, ${{rest}} kept")
  set(folder "${{CMAKE_BINARY_DIR}}/vllm-forge")
  file(MAKE_DIRECTORY "${{folder}}")
  set_target_properties(${{name}} PROPERTIES SOURCES "${{kept}}")
  if(EXISTS "${{VLLM_FORGE_FOLDER}}/refused_${{name}}.cpp")
    # In the build folder: its object is named by its path, and that must be alike elsewhere.
    configure_file("${{VLLM_FORGE_FOLDER}}/refused_${{name}}.cpp"
                   "${{folder}}/refused_${{name}}.cpp" COPYONLY)
    target_sources(${{name}} PRIVATE "${{folder}}/refused_${{name}}.cpp")
    target_include_directories(${{name}} PRIVATE "${{CMAKE_SOURCE_DIR}}/csrc")
  endif()
  list(TRANSFORM gone PREPEND "${{CMAKE_SOURCE_DIR}}/")
  list(JOIN gone "\\", \\"" listed)
  file(WRITE "${{folder}}/${{name}}.json" "{{\\"objects\\": \\"${{folder}}/${{name}}.objects\\", \\
\\"out\\": \\"${{folder}}/${{name}}.left-out.o\\", \\"nm\\": \\"${{CMAKE_NM}}\\", \\
\\"filt\\": \\"c++filt\\", \\"compiler\\": \\"${{CMAKE_CXX_COMPILER}}\\", \\
\\"left_out\\": [\\"${{listed}}\\"], \\"message\\": \\"${{VLLM_FORGE_MESSAGE}}\\"}}\\n")
  file(GENERATE OUTPUT "${{folder}}/${{name}}.objects"
       CONTENT "$<JOIN:$<TARGET_OBJECTS:${{name}}>,\\n>\\n")
  add_custom_command(TARGET ${{name}} PRE_LINK VERBATIM
                     COMMAND "${{VLLM_PYTHON_EXECUTABLE}}" -I
                             "${{VLLM_FORGE_FOLDER}}/{worker}" "${{folder}}/${{name}}.json")
  target_link_options(${{name}} PRIVATE "${{folder}}/${{name}}.left-out.o")
  set_property(TARGET ${{name}} APPEND PROPERTY LINK_DEPENDS "${{VLLM_FORGE_FOLDER}}/{worker}")
endfunction()

set(VLLM_FORGE_FOLDER "${{CMAKE_CURRENT_LIST_DIR}}")
set(VLLM_FORGE_MESSAGE "{message}")
{lists}
cmake_language(DEFER CALL vllm_forge_specialize)
"""

STABLE: Final = """\
#include <torch/csrc/stable/library.h>

#include <stdexcept>

// One for each operator: a boxed function of the stable ABI is not told which it is called as.
#define REFUSE(FUNCTION, NAME)                                       \\
  static void FUNCTION(StableIValue*, uint64_t, uint64_t) {          \\
    throw std::runtime_error(NAME " " VLLM_FORGE_LEFT_OUT);          \\
  }
"""
UNSTABLE: Final = """\
#include "core/registration.h"

#include <torch/library.h>

#include <stdexcept>

#define REFUSE(FUNCTION, NAME)                                       \\
  static void FUNCTION(const c10::OperatorHandle&, c10::Stack*) {    \\
    throw std::runtime_error(NAME " " VLLM_FORGE_LEFT_OUT);          \\
  }
"""


def write_specialization(action: Specialize) -> tuple[Path, ...]:
    """Everything into `action.folder`; CMake's file first among what is returned."""
    folder = Path(action.folder)
    message = left_out_message(action)
    files = {SPECIALIZE_FILE: render_cmake(action, message)}
    for target in targets_of(action):
        operators = [one for one in action.specialization.operators if one.target == target]
        if operators:
            files[f"refused_{target}.cpp"] = render_refusals(operators, message)
    for old in folder.glob("refused_*.cpp"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        write_atomically(folder / name, text)
    shutil.copyfile(WORKER, folder / WORKER.name)
    return tuple(folder / name for name in (*files, WORKER.name))


def written_in(folder: Path) -> tuple[Path, ...]:
    """The files of a specialization that lie in `folder`."""
    return (folder / SPECIALIZE_FILE, folder / WORKER.name, *sorted(folder.glob("refused_*.cpp")))


def identify_templates() -> str:
    """Eight digits of a hash over what is written but for its lists: ours, not the plan's."""
    return digest_of([CMAKE, STABLE, UNSTABLE, WORKER.read_text(encoding="utf-8")])[:8]


def targets_of(action: Specialize) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.target for one in action.specialization.left_out))


def left_out_message(action: Specialize) -> str:
    """What calling something that was left out says, after its name."""
    return (
        f"was left out of this build: it was specialized for {action.specialization.made_for}; "
        "build again without --specialize, or with this checkpoint"
    )


def render_cmake(action: Specialize, message: str) -> str:
    lists = [f"set(VLLM_FORGE_TARGETS {' '.join(targets_of(action))})"]
    for target in targets_of(action):
        files = "\n".join(f'  "{file}"' for file in action.specialization.files_of(target))
        lists.append(f"set(VLLM_FORGE_LEFT_OUT_{target}\n{files})")
    return CMAKE.format(worker=WORKER.name, message=message, lists="\n".join(lists))


def render_refusals(operators: list[RefusedOperator], message: str) -> str:
    """A source that registers, for each operator, a function that throws."""
    stable = operators[0].library.startswith("STABLE")
    lines = [f"#define VLLM_FORGE_LEFT_OUT {json.dumps(message)}", STABLE if stable else UNSTABLE]
    libraries: dict[str, list[str]] = {}
    for number, one in enumerate(operators):
        lines.append(f"REFUSE(refuse_{number}, {json.dumps(one.name)})")
        handler = (
            f"&refuse_{number}"
            if stable
            else f"torch::CppFunction::makeFromBoxedFunction<&refuse_{number}>()"
        )
        variable = one.library.rpartition(",")[2].strip(" )")
        libraries.setdefault(one.library, []).append(
            f"  {variable}.impl({json.dumps(one.name)}, {handler});"
        )
    for library, entries in libraries.items():
        lines += [f"{library} {{", *entries, "}"]
    return "\n".join(lines) + "\n"
