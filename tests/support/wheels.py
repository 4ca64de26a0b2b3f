"""Wheels made on the spot."""

import base64
import hashlib
import io
import zipfile

METADATA = """\
Metadata-Version: 2.4
Name: demo
Version: 1.0
Requires-Dist: torch==2.7.1
Requires-Dist: torchvision==0.22.1
"""
WHEEL = "Wheel-Version: 1.0\nTag: cp38-abi3-manylinux_2_28_x86_64\n"


def make_wheel(members: dict[str, bytes], *, recorded: dict[str, bytes] | None = None) -> bytes:
    """A wheel of demo 1.0 whose RECORD has the hashes of `recorded` where that differs."""
    lines = []
    for name, content in (members | (recorded or {})).items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr("demo-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("demo-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("demo-1.0.dist-info/RECORD", "\n".join(lines))
    return packed.getvalue()
