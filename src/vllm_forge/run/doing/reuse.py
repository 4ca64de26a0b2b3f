"""The step that takes targets out of a release's wheel, proves them, puts them into the tree."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.plan import Reuse, ReusedTarget
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.receipt import Made
from vllm_forge.records.reuse import WheelMember
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.files import sha256_of
from vllm_forge.run.inputs import NATIVE
from vllm_forge.run.lock import locked
from vllm_forge.run.published import find_file, folder_of_wheel
from vllm_forge.run.receipts import made
from vllm_forge.run.sdist_manifest import Manifest, read_manifest
from vllm_forge.run.watched import Root, watch
from vllm_forge.run.wheel_member import fetch_together, take_member
from vllm_forge.verify.binary import prove_binaries
from vllm_forge.verify.release_wheel import is_extension

MIB: Final = 1 << 20


def reuse(action: Reuse, site: Site) -> Done:
    """Fetch, prove, install: nothing is put into the tree before all of it fits.

    Raises:
        Problem: exit 3 where an extension does not fit this environment or these GPUs.
    """
    tree = (Root(action.source, NATIVE, ours=True),)
    watched = watch(tree, (), os.environ)
    kept = folder_of_wheel(action.wheel, site.doors.home)
    with locked(site.doors.home.lock(kept.name), on_wait=site.note):
        fetched = _fetch(action, kept, site)
    checks = _prove(action, kept, site)
    placed = tuple(_install(action, kept, site))
    counted = f"{fetched / MIB:.1f} MiB fetched" if fetched else "nothing fetched, all was here"
    names = ", ".join(target.name for target in action.targets)
    passed = sum(check.status is CheckStatus.PASSED for check in checks)
    return Done(
        f"{names} of {action.wheel}: {counted}, {passed} checks passed",
        placed,
        {
            "wheel": action.wheel,
            "wheel_sha256": action.sha256,
            "wheel_bytes_fetched": str(fetched),
        },
        watched=watched,
    )


def _members(action: Reuse) -> tuple[WheelMember, ...]:
    """Each file once: two extensions of one package bring the same ones beside them."""
    every = (member for target in action.targets for member in target.members)
    return tuple(dict.fromkeys(every))


def _fetch(action: Reuse, kept: Path, site: Site) -> int:
    """Every member into `kept`; the index is asked only where one is not there yet."""
    missing = [
        member
        for member in _members(action)
        if not (kept / member.name).is_file() or sha256_of(kept / member.name) != member.sha256
    ]
    if not missing:
        return 0
    doors = site.doors
    url = find_file(action.wheel, action.sha256, doors).url
    bar = _Bar(site, sum(member.span for member in missing))
    fetched = fetch_together(url, missing, kept, doors.network, bar.add)
    return fetched + sum(
        take_member(url, member, kept / member.name, doors.network, bar.add) for member in missing
    )


@dataclass(slots=True)
class _Bar:
    """Bytes that have come, of all members together."""

    site: Site
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        self.site.progress(self.done, self.total)


def _prove(action: Reuse, kept: Path, site: Site) -> tuple[Check, ...]:
    """What only the bytes tell: symbols, libraries, the system's versions, GPU code."""
    paths = [kept / member.name for member in _members(action) if is_extension(member.name)]
    site_packages = Path(site.facts["torch_folder"] or "").parent
    checks = prove_binaries(paths, site_packages, action.gpu_arch, site.doors.run)
    failed = [check for check in checks if check.status is CheckStatus.FAILED]
    if failed:
        names = sorted({_target_of(check, action.targets) for check in failed})
        raise Problem(
            f"{', '.join(names)} of {action.wheel} does not fit this environment",
            causes=tuple(f"{check.name}: {check.detail}" for check in failed),
            hints=("--strategy full compiles it",),
            exit_code=ExitCode.REFUSED,
        )
    return checks


def _target_of(check: Check, targets: tuple[ReusedTarget, ...]) -> str:
    file = check.name.partition(":")[2]
    return next((one.name for one in targets if file.startswith(f"{one.name}.")), file)


def _install(action: Reuse, kept: Path, site: Site) -> Iterator[Made]:
    """Put every member where the wheel has it, atomically; yields what lies there then.

    An extension always takes the place: it is what this step is for. So does a file beside it where
    nothing lies, or what the release's sdist has there: in some (0.10.1) those are of another
    revision of the project than the extension. Anything else is the user's work, and is left.
    """
    published: Manifest | None = None
    for member in _members(action):
        place = Path(action.source) / member.name
        here = sha256_of(place) if place.exists() else None
        if here is not None and here != member.sha256 and not is_extension(member.name):
            published = published or read_manifest(action.version, site.doors)
            if published.files.get(member.name) != here:
                site.note(f"{place} is left as it is, unlike the wheel's; remove it to take that")
                yield made(place)  # gone or written again, this step is done again
                continue
        if here != member.sha256:
            _put(kept / member.name, place)
        yield made(place, hashed=True)


def _put(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_name(f".{place.name}.half")
    shutil.copyfile(file, half)  # no link: who writes into the tree would write into what is kept
    half.replace(place)
