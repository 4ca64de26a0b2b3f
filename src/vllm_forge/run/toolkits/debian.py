"""CUDA 12.4 from Debian 13: NVIDIA's own compiler, in an archive whose signatures apt checks.

apt verifies the suite's signature and gives each package's place and sha256 (`--print-uris`), with
lists, sources and a configuration of our own: neither root nor the system's state is touched. The
files are then fetched by us, because a cut-off of 900 MB has to go on where it stopped; where only
apt knows the way (its own proxy, a mirror list), apt fetches and the digest is checked all the
same. Only the listed packages are taken, not what they depend on.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Archive, Offer
from vllm_forge.resolve.cuda_facts import parts_of
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.process import dies_with_us
from vllm_forge.run.toolkits.debian_sources import choose_mirror, read_sources
from vllm_forge.run.toolkits.layout import place_of_debian, render_profile
from vllm_forge.run.toolkits.provider import SUBJECT, Asked, Recipe, Tell
from vllm_forge.run.toolkits.unpack import unpack_deb

SUITE: Final = "trixie"
NVCC: Final = "12.4.131"
RELEASE: Final = "12.4.1"
PACKAGES: Final = (
    "nvidia-cuda-toolkit",
    "nvidia-cuda-dev",
    "libcudart12",
    "libnvtoolsext1",
    "libnvidia-ml-dev",
    "libcu++-dev",
    "libcub-dev",
    "libthrust-dev",
)
"""The mathematical libraries themselves are left out: nvidia-cuda-dev has stubs to link."""

UNPACKED_BYTES: Final = 200_000_000
"""Measured: docs/toolkits.md."""

KEYRINGS: Final = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
"""Of the package debian-archive-keyring; Debian 12's already holds the keys of Debian 13."""

PRINTED: Final = re.compile(r"'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})")
CONFIGURATION: Final = """\
Dir::State::Lists "{state}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/forge.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Debug::NoLocking "1";
APT::Sandbox::User "";
APT::Get::List-Cleanup "1";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
"""The system's hooks are cleared: they are about the system's state, and may need root."""

SOURCES: Final = """\
Types: deb
URIs: {mirror}
Suites: {suite}
Components: main non-free
Signed-By: {keyring}
"""
UPDATE_SECONDS: Final = 300.0
FETCH_SECONDS: Final = 3600.0


def offer_debian(asked: Asked, doors: Doors) -> Recipe | Refused:
    """The toolkit of Debian 13, for any machine that has apt and Debian's keys."""
    wished = parts_of(asked.version)
    if wished not in {parts_of(whole)[: len(wished)] for whole in (NVCC, RELEASE)}:
        fact = f"Debian 13 has CUDA {NVCC}, not {asked.version}"
        return Refused(SUBJECT, (Reason(fact, f"{SUITE}/non-free"),))
    if doors.run(["apt-get", "--version"]).code != 0:
        return Refused(SUBJECT, (Reason("there is no apt-get here", "PATH"),))
    keyring = next((path for path in KEYRINGS if path.exists()), None)
    if keyring is None:
        reason = Reason("the keys that Debian signs with are not here", str(KEYRINGS[-1]))
        return Refused(SUBJECT, (reason,), ("apt-get install debian-archive-keyring",))
    source = choose_mirror(read_sources())
    mirror = asked.url or (source.uri if source else None)
    if mirror is None:
        reason = Reason("no source of apt is a Debian mirror", "/etc/apt")
        way = f"vllm-forge toolkit add {asked.version} --provider debian --url MIRROR"
        return Refused(SUBJECT, (reason,), (way,))
    state = doors.home.downloads / f"debian-{SUITE}"
    _write_configuration(state, mirror, keyring)
    archives = _ask_apt(state, doors)
    packed = next(file for file in archives if file.name.startswith("nvidia-cuda-toolkit_"))
    nvcc = re.search(r"_(\d+(?:\.\d+)+)", packed.name)
    offer = Offer(
        provider="debian",
        nvcc=nvcc[1] if nvcc else NVCC,
        archives=archives,
        unpacked_bytes=UNPACKED_BYTES,
        origin=f"Debian {SUITE}, non-free, of {mirror}",
    )

    def fill(prefix: Path, tell: Tell) -> None:
        done = 0
        for archive in archives:

            def progress(now: int, _total: int | None, before: int = done) -> None:
                tell(before + now)

            _fetch(archive, state / "packages", doors, progress)
            done += archive.size or 0
            tell(done)
        for archive in archives:
            unpack_deb(state / "packages" / archive.name, prefix, place_of_debian)
        write_atomically(prefix / "bin" / "nvcc.profile", render_profile(prefix))

    return Recipe(offer, fill, lambda: shutil.rmtree(state, ignore_errors=True))


def parse_printed_uris(text: str) -> tuple[Archive, ...]:
    """What `apt-get download --print-uris` says: 'URI' NAME SIZE SHA256:HEX, one line a file.

    >>> line = f"'http://m/pool/a%2b_1.deb' a+_1.deb 12 SHA256:{'0' * 64}"
    >>> [(file.name, file.size) for file in parse_printed_uris(line)]
    [('a+_1.deb', 12)]
    """
    return tuple(
        Archive(name=name, url=url, sha256=sha256, size=int(size))
        for url, name, size, sha256 in PRINTED.findall(text)
    )


def _write_configuration(state: Path, mirror: str, keyring: Path) -> None:
    for folder in ("lists/partial", "cache/archives/partial", "packages"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    write_atomically(state / "forge.conf", CONFIGURATION.format(state=state))
    sources = SOURCES.format(mirror=mirror, suite=SUITE, keyring=keyring)
    write_atomically(state / "forge.sources", sources)


def _ask_apt(state: Path, doors: Doors) -> tuple[Archive, ...]:
    if doors.offline:
        raise Problem(
            "Debian's archive was not asked: --offline",
            hints=("run once without --offline; the toolkit is kept",),
            exit_code=ExitCode.UNREACHABLE,
        )
    _apt(state, doors.run, "update", "--error-on=any", seconds=UPDATE_SECONDS)
    said = _apt(state, doors.run, "download", "--print-uris", *PACKAGES)
    archives = parse_printed_uris(said)
    if len(archives) != len(PACKAGES):
        raise Problem(
            f"apt-get named {len(archives)} of {len(PACKAGES)} packages of {SUITE}",
            causes=tuple(said.splitlines()[-3:]),
            exit_code=ExitCode.UNREACHABLE,
        )
    return archives


def _fetch(
    archive: Archive, folder: Path, doors: Doors, progress: Callable[[int, int | None], None]
) -> None:
    to = folder / archive.name
    try:
        download(
            archive.url, to, sha256=archive.sha256, network=doors.network, on_progress=progress
        )
    except Problem as problem:
        if problem.exit_code is not ExitCode.UNREACHABLE or doors.offline:
            raise
        package = archive.name.split("_")[0]
        _apt(folder.parent, doors.run, "download", package, cwd=folder, seconds=FETCH_SECONDS)
        if not to.exists() or sha256_of(to) != archive.sha256:
            to.unlink(missing_ok=True)
            raise


def _apt(
    state: Path, run: RunCommand, *words: str, cwd: Path | None = None, seconds: float = 60.0
) -> str:
    """What apt-get said on stdout.

    Raises:
        Problem: exit 4 with apt's own errors, its signatures' included.
    """
    command = ["apt-get", "-qq", "-c", str(state / "forge.conf"), *words]
    said = run([*dies_with_us(), *command], cwd=cwd, timeout=seconds)
    if said.code != 0:
        errors = [line for line in said.stderr.splitlines() if line[:2] in {"E:", "W:"}]
        raise Problem(
            f"apt-get {words[0]} of Debian {SUITE} failed",
            causes=tuple(errors[:4]) or (f"code {said.code}",),
            hints=(f"try it by hand: {shlex.join(command)}",),
            exit_code=ExitCode.UNREACHABLE,
        )
    return said.stdout
