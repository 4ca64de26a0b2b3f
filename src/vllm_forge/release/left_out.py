"""Requirements that setup.py itself leaves out of the package's, whatever the machine.

requirements/cuda.txt of 0.26 to 0.31 pins flashinfer-cubin, which is on NVIDIA's own index only;
setup.py goes over the lines and skips it: `if "flashinfer-cubin" in req: continue`.
"""

import ast
from typing import Final

from packaging.utils import canonicalize_name

from vllm_forge.release.source_tree import SourceTree

SETUP: Final = "setup.py"


def read_left_out(tree: SourceTree) -> dict[str, str]:
    """Project name → the line that skips it. A skip that depends on anything else is not one."""
    module = tree.module(SETUP)
    found: dict[str, str] = {}
    for loop in ast.walk(module) if module is not None else ():
        if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
            continue
        for statement in loop.body:
            name = skipped_name(statement, loop.target.id)
            if name is not None:
                found[canonicalize_name(name)] = f"{SETUP}:{statement.lineno}"
    return found


def skipped_name(statement: ast.stmt, line: str) -> str | None:
    """NAME of `if "NAME" in LINE: continue`."""
    match statement:
        case ast.If(
            test=ast.Compare(
                left=ast.Constant(value=str(name)), ops=[ast.In()], comparators=[ast.Name(id=it)]
            ),
            body=[*_, ast.Continue()],
            orelse=[],
        ) if it == line:
            return name
        case _:
            return None
