"""What a plain `pip install -e .` would have done instead."""

from vllm_forge.records.decision import Chosen, Decision
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.release import Release
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.torch import exact_version


def notes_on_stock(release: Release, torch: str, toolkit: Decision[Toolkit]) -> tuple[str, ...]:
    """Facts of the tree, each with its place; none of them stops this plan."""
    notes: list[str] = []
    build = next((pin for pin in release.torch if pin.role == "build" and exact_version(pin)), None)
    run = next((pin for pin in release.torch if pin.role == "cuda" and exact_version(pin)), None)
    if build is not None and exact_version(build) != torch:
        notes.append(
            f"plain `pip install -e .` would compile in an isolated environment against "
            f"torch{build.specifier} ({build.source}), not {torch}"
        )
    if run is not None and exact_version(run) != torch:
        notes.append(
            f"plain `pip install -e .` would replace torch {torch} by torch{run.specifier} "
            f"({run.source})"
        )
    if build is not None and exact_version(build) == torch:
        notes.append(
            f"plain `pip install -e .` would replace whatever torch is installed by "
            f"torch{build.specifier} ({build.source}) and compile every target for every GPU of "
            "its list"
        )
    main = release.main_cuda.value
    if isinstance(toolkit, Chosen) and main and minor_of(toolkit.value.version) != minor_of(main):
        compact = minor_of(toolkit.value.version).replace(".", "")
        notes.append(
            f"its version would read {release.version.value}+cu{compact}: MAIN_CUDA_VERSION is "
            f"{main} ({release.main_cuda.source})"
        )
    return tuple(notes)
