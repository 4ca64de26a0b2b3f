"""Write a wheel: members, metadata, RECORD (PyPA's binary distribution format)."""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.metadata import Metadata, RawMetadata

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Zip's first day: the same members make the same wheel."""


@dataclass(frozen=True, slots=True)
class WheelMetadata:
    """What `pip show` prints; `entry_points` maps group → name → object reference."""

    name: str
    version: str
    summary: str
    requires_python: str | None
    requires_dist: tuple[str, ...]
    entry_points: Mapping[str, Mapping[str, str]]
    tag: str

    @property
    def dist_info(self) -> str:
        return f"{self.name}-{self.version}.dist-info"

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.tag}.whl"


def write_wheel(
    folder: Path, metadata: WheelMetadata, members: Iterable[tuple[str, Path | bytes]]
) -> Path:
    """Write the wheel into `folder` and return it. Members are (name in the wheel, content)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / metadata.filename
    half = path.with_name(f".{path.name}.half")
    record: list[str] = []
    with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for name, content in (*members, *_metadata_files(metadata)):
            data = content if isinstance(content, bytes) else content.read_bytes()
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(info, data)
            record.append(f"{_quoted(name)},sha256={_digest(data)},{len(data)}")
        record.append(f"{metadata.dist_info}/RECORD,,")
        wheel.writestr(zipfile.ZipInfo(f"{metadata.dist_info}/RECORD", EPOCH), "\n".join(record))
    half.replace(path)
    return path


def _metadata_files(metadata: WheelMetadata) -> Iterable[tuple[str, bytes]]:
    raw: RawMetadata = {
        "metadata_version": "2.1",
        "name": metadata.name,
        "version": metadata.version,
        "summary": metadata.summary,
        "requires_dist": list(metadata.requires_dist),
    }
    if metadata.requires_python:
        raw["requires_python"] = metadata.requires_python
    core = Metadata.from_raw(raw).as_rfc822().as_bytes()
    yield f"{metadata.dist_info}/METADATA", core
    wheel = (
        f"Wheel-Version: 1.0\nGenerator: vllm-forge\nRoot-Is-Purelib: false\nTag: {metadata.tag}\n"
    )
    yield f"{metadata.dist_info}/WHEEL", wheel.encode()
    if metadata.entry_points:
        lines: list[str] = []
        for group, names in metadata.entry_points.items():
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items()), ""]
        yield f"{metadata.dist_info}/entry_points.txt", "\n".join(lines).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name else name
