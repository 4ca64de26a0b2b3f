"""docs/findings has a page for every code of diagnose, and each says what a reader needs."""

from pathlib import Path

import pytest

from vllm_forge.diagnose.registry import CODES

PAGES = Path(__file__).parents[3] / "docs" / "findings"
MARK = "vllm-forge explain"


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_its_page(code: str) -> None:
    page = (PAGES / f"{code}.md").read_text()
    assert page.startswith(f"# {code}\n")
    assert "## How it is seen" in page
    assert "## What to do" in page


def test_a_page_of_explain_has_its_code() -> None:
    pages = {path.stem for path in PAGES.glob("*.md") if MARK in path.read_text()}
    assert pages <= set(CODES)
