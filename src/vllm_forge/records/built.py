"""What an environment says about itself: `forge.json` in its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.specialization import MadeFor

FILE_NAME = "forge.json"


@dataclass(frozen=True, slots=True)
class Built:
    """`extensions` are paths of what was built or reused; `targets` what was planned, and left out.

    `torch` is the proven version with its local part; `python` the environment's own interpreter;
    `gpu_arch` the compute capabilities it was compiled for. `build` is the folder with build.ninja,
    `toolkit` the prefix of the nvcc that compiled; None where another forge did not say. `reused`
    has the path of each target that came out of a wheel: its extension, else one of its files.
    `made_for` is the only kind of checkpoint it runs, where it was built with --specialize, and
    `left_out` each target's sources that such a checkpoint does not reach.
    """

    key: str
    version: str
    device: str
    tree: str
    environment: str
    python: str
    torch: str
    torch_cuda: str | None
    gpu_arch: tuple[str, ...]
    extensions: tuple[str, ...]
    targets: tuple[PlannedTarget, ...]
    build: str | None = None
    toolkit: str | None = None
    reused: Mapping[str, str] = field(default_factory=dict)
    made_for: MadeFor | None = None
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
