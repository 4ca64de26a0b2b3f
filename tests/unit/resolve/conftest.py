"""Releases as `read_release` read them from the published trees, reduced to what matching asks."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from vllm_forge.records.release import ModelOptReading, QuantizationMethod, Release
from vllm_forge.records.sourced import Sourced

RELEASES = Path(__file__).parents[2] / "data" / "checkpoints" / "releases.json"


@pytest.fixture(scope="session")
def known_release() -> Callable[[str], Release]:
    """Version → release: registry entries that matter to checkpoints, and the ModelOpt reading."""
    table = json.loads(RELEASES.read_text())

    def release(version: str) -> Release:
        facts = table[version]
        return Release(
            version=Sourced(version, "PKG-INFO:3"),
            python=Sourced(None, "not asked"),
            torch=(),
            build_requirements=(),
            requirements={},
            targets=(),
            quantization=msgspec.convert(facts["quantization"], tuple[QuantizationMethod, ...]),
            modelopt=msgspec.convert(facts["modelopt"], ModelOptReading),
        )

    return release
