"""The shipped tables of toolkits, GPUs and recorded machines (package data)."""

from importlib.resources import files

from vllm_forge.probe.machine_file import parse_machine
from vllm_forge.records.codec import parse_json
from vllm_forge.records.cuda import CudaTable, GpuTable
from vllm_forge.records.machine import Machine

DATA = files("vllm_forge") / "data"


def read_cuda_table() -> CudaTable:
    """Toolkits: architectures, host compilers, drivers."""
    path = DATA / "cuda.json"
    return parse_json(path.read_bytes(), CudaTable, origin=str(path))


def read_gpu_table() -> GpuTable:
    """GPU names and their compute capabilities."""
    path = DATA / "gpus.json"
    return parse_json(path.read_bytes(), GpuTable, origin=str(path))


def read_recorded_machines() -> dict[str, Machine]:
    """Machines to plan for without having them, by name."""
    return {
        path.name.removesuffix(".json"): parse_machine(path.read_bytes(), str(path))
        for path in sorted((DATA / "machines").iterdir(), key=lambda path: path.name)
        if path.name.endswith(".json")
    }
