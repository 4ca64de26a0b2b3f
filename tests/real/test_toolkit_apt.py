"""apt's verification is never turned off: an archive without a good signature gives nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.run.toolkits.debian import KEYRINGS

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or not any(path.exists() for path in KEYRINGS),
    reason="apt-get or Debian's keys are not here",
)
RELEASE = """\
Origin: Debian
Suite: stable
Codename: trixie
Date: Sat, 01 Jan 2028 00:00:00 UTC
Architectures: amd64
Components: main non-free
SHA256:
"""


def add(home: Path, mirror: Path) -> subprocess.CompletedProcess[str]:
    words = ("toolkit", "add", "12.4", "--provider", "debian", "--url", f"file://{mirror}")
    command = [sys.executable, "-m", "vllm_forge", *words, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.parametrize("name", ["Release", "InRelease"])
def test_an_unsigned_archive_is_refused(tmp_path: Path, name: str) -> None:
    suite = tmp_path / "mirror/dists/trixie"
    suite.mkdir(parents=True)
    (suite / name).write_text(RELEASE)

    said = add(tmp_path / "home", tmp_path / "mirror")

    assert said.returncode == 4
    assert "apt-get update of Debian trixie failed" in said.stderr
    assert "sign" in said.stderr
    assert not (tmp_path / "home/toolkits").exists()


def test_a_mirror_without_the_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()

    said = add(tmp_path / "home", tmp_path / "mirror")

    assert said.returncode == 4
    assert "trixie" in said.stderr
    assert "try it by hand" in said.stderr
