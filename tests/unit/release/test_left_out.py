"""What setup.py skips of its own requirements, as 0.31.0 writes it."""

import shutil
from pathlib import Path

from vllm_forge.release.left_out import read_left_out
from vllm_forge.release.source_tree import SourceTree

SETUP = """
def get_requirements():
    for req in requirements:
        if "vllm-flash-attn" in req and cuda_major != "12":
            continue
        if "flashinfer-cubin" in req:
            # Not on PyPI
            continue
        if "nvidia-cutlass-dsl[cu13]" in req:
            req = req.replace("[cu13]", "")
        if "other" in name:
            continue
        modified.append(req)
"""


TINY = Path(__file__).parents[2] / "trees" / "tiny"


def test_only_what_is_skipped_on_every_machine(tmp_path: Path) -> None:
    tree = shutil.copytree(TINY, tmp_path / "tree")
    (tree / "setup.py").write_text(SETUP)
    assert read_left_out(SourceTree(tree)) == {"flashinfer-cubin": "setup.py:6"}


def test_a_tree_without_one_skips_nothing() -> None:
    assert read_left_out(SourceTree(TINY)) == {}
