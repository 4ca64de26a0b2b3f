"""Whether the disk has the room, asked before the first byte comes."""

from vllm_forge.probe.disk import read_disk
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Offer
from vllm_forge.resolve.advice import gib
from vllm_forge.run.doors import Doors


def check_room(offer: Offer, doors: Doors) -> None:
    """Room for the packages and what they unpack to, both at once.

    Raises:
        Problem: exit 4 with the numbers.
    """
    needed = offer.download_bytes + offer.unpacked_bytes
    free = read_disk(doors.home.path).free_bytes
    if free is None or free >= needed:
        return
    raise Problem(
        f"{doors.home.path} has {gib(free)} free, the toolkit needs {gib(needed)}",
        causes=(
            f"{gib(offer.download_bytes)} to fetch, {gib(offer.unpacked_bytes)} unpacked",
            "what is fetched is dropped when the toolkit is whole",
        ),
        hints=("make room, or choose another folder with --home DIR",),
        exit_code=ExitCode.UNREACHABLE,
    )
