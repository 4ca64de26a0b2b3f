"""Edits of a tree under test."""

from pathlib import Path


def edit_file(path: Path, old: str, new: str) -> None:
    """Put `new` where `old` stands; it has to stand there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
