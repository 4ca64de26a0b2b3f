"""What this machine is. Each fact is a pair: `read_x` (one look at the world), `parse_x` (pure)."""

from vllm_forge.probe.machine import read_machine
from vllm_forge.probe.machine_file import parse_machine

__all__ = ["parse_machine", "read_machine"]
