"""A folder where the loader finds a toolkit's stubs under the names of the driver's libraries."""

import contextlib
from pathlib import Path
from typing import Final

STUBS: Final = ("libcuda", "libnvidia-ml")
"""What a toolkit has in lib64/stubs as NAME.so, and the driver as NAME.so.1."""


def lay_driver_stubs(toolkit: Path, folder: Path) -> Path | None:
    """Link the stubs that `toolkit` has into `folder`; None where it has no stub of libcuda."""
    stubs = toolkit / "lib64" / "stubs"
    if not (stubs / f"{STUBS[0]}.so").exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in STUBS:
        link = folder / f"{name}.so.1"
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        if (stubs / f"{name}.so").exists():
            link.symlink_to(stubs / f"{name}.so")
    return folder
