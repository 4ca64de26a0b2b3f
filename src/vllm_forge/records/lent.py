"""An interpreter whose torch, and whatever else it has, is used as it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lent:
    """What `--torch-from` names. `folders` hold its packages, in the order it looks through them.

    `torch` is what torch says of itself (2.11.0+cu130), `cuda` what it carries; `packages` is a
    digest over names and versions of everything installed there, so that a plan made before an
    upgrade is not taken for one made after it.
    """

    python: str
    version: str
    headers: bool
    torch: str
    cuda: str | None
    folders: tuple[str, ...]
    packages: str

    @property
    def public_torch(self) -> str:
        """Without the local part, as pins are written."""
        return self.torch.split("+")[0]
