"""How much can still be written where the forge keeps its things."""

import shutil
from pathlib import Path

from vllm_forge.records.machine import Disk


def read_disk(home: Path) -> Disk:
    """Free bytes for this user on the file system `home` lies on, or will lie on."""
    for folder in (home.absolute(), *home.absolute().parents):
        try:
            return Disk(free_bytes=shutil.disk_usage(folder).free)
        except OSError:
            continue
    return Disk()
