"""All signatures, in the order in which the more telling of two for the same code comes first."""

from vllm_forge.diagnose.signatures import (
    build_environments,
    build_tools,
    capabilities,
    compilers,
    cuda_libraries,
    engine,
    gpu_architectures,
    gpu_runtime,
    host_compilers,
    jit,
    network,
    pythons,
    quantization,
    resources,
    swapped,
    symbols_missing,
    system_libraries,
    tensors,
    torch_names,
)

SIGNATURES = (
    *resources.SIGNATURES,
    *gpu_architectures.SIGNATURES,
    *host_compilers.SIGNATURES,
    *compilers.SIGNATURES,
    *symbols_missing.SIGNATURES,
    *cuda_libraries.SIGNATURES,
    *system_libraries.SIGNATURES,
    *build_tools.SIGNATURES,
    *pythons.SIGNATURES,
    *build_environments.SIGNATURES,
    *swapped.SIGNATURES,
    *network.SIGNATURES,
    *quantization.SIGNATURES,
    *capabilities.SIGNATURES,
    *tensors.SIGNATURES,
    *torch_names.SIGNATURES,
    *gpu_runtime.SIGNATURES,
    *engine.SIGNATURES,
    *jit.SIGNATURES,
)
UNKNOWN = "unknown-failure"
CODES = (*dict.fromkeys(signature.code for signature in SIGNATURES), UNKNOWN)
