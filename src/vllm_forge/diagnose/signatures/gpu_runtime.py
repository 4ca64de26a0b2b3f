"""What the GPU or its driver answers when a kernel is started."""

from vllm_forge.diagnose.advice import capabilities
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern


def no_image_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names
    own = capabilities(scene) or scene.clues.get("capability")
    arch = f'export TORCH_CUDA_ARCH_LIST="{own or "X.Y"}"   # the capability printed above'
    return (
        (
            'python -c "import torch; print(torch.cuda.get_arch_list(),'
            " torch.cuda.get_device_capability());"
            " print(torch.ones(1, device='cuda') + 1)\"   # fails: torch's own wheel lacks this GPU"
        ),
        f"If that works, the extension in the traceback lacks it. Build it again: {arch}",
    )


SIGNATURES = (
    Signature(
        "no-kernel-image",
        kinds(Kind.PLAIN, Kind.LOGGED),
        pattern(
            r"with CUDA capability (?P<arch>sm_\w+) is not compatible with the current PyTorch"
            r" installation"
        ),
        "torch's own wheel carries no code for this GPU ({arch}).",
        lambda names, _: (
            "uv pip install torch --torch-backend=cu128   # Blackwell needs a torch for CUDA 12.8"
            " or newer"
            if names["arch"].startswith(("sm_10", "sm_12"))
            else (
                "uv pip install torch --torch-backend=cu126   # the CUDA 12.6 wheels keep older"
                " GPUs"
            ),
            'python -c "import torch; print(torch.__version__, torch.cuda.get_arch_list())"',
        ),
        before=pattern(r"no kernel image|CUDA error"),
    ),
    Signature(
        "no-kernel-image",
        kinds(Kind.EXCEPTION, Kind.FRONTEND, Kind.LOGGED),
        pattern(
            r"no kernel image is available for execution on the device|device kernel image is"
            r" invalid|cudaErrorNoKernelImageForDevice"
        ),
        "A kernel was launched for which the loaded library carries no code for this GPU's"
        " architecture.",
        no_image_fix,
        unless=pattern(r"is not compatible with the current PyTorch"),
    ),
    Signature(
        "driver-too-old",
        kinds(Kind.EXCEPTION),
        pattern(
            r"NVIDIA driver on your system is too old \(found version (?P<have>\d+)\)"
            r"|CUDA driver version is insufficient for CUDA runtime version"
            r"|provided PTX was compiled with an unsupported toolchain|cudaErrorInsufficientDriver"
            r"|system has unsupported display driver / cuda driver combination"
            r"|forward compatibility was attempted on non supported HW"
        ),
        "The NVIDIA driver is older than the CUDA that torch or the kernels were built with.",
        acts(
            "nvidia-smi | head -4   # `CUDA Version` is the newest CUDA this driver runs",
            "Update the driver, or install the torch and vLLM built for that CUDA "
            "(--torch-backend=auto).",
        ),
    ),
    Signature(
        "driver-too-old",
        kinds(Kind.PLAIN, Kind.LOGGED),
        pattern(r"NVIDIA driver on your system is too old \(found version (?P<have>\d+)\)"),
        "The NVIDIA driver is older than the CUDA that torch was built with, so torch sees no GPU.",
        acts(
            "nvidia-smi | head -4   # `CUDA Version` is the newest CUDA this driver runs",
            "Update the driver, or install the torch and vLLM built for that CUDA "
            "(--torch-backend=auto).",
        ),
        before=pattern(r"Failed to infer device|Device string must not|No CUDA GPUs|CUDA"),
    ),
    Signature(
        "gpu-not-visible",
        kinds(Kind.EXCEPTION, Kind.FRONTEND),
        pattern(
            r"No CUDA GPUs are available|Found no NVIDIA driver on your system|Failed to infer"
            r" device type"
            r"|Device string must not be empty|NVML Shared Library Not Found|Driver Not Loaded"
            r"|could not select device driver \S* with capabilities: \[\[gpu"
            r"|nvidia-container-cli: initialization error"
            r"|CUDA error: no CUDA-capable device is detected|cudaErrorNoDevice|libcuda reported"
            r" no devices"
        ),
        "No NVIDIA GPU is visible to this process.",
        acts(
            "nvidia-smi; echo $CUDA_VISIBLE_DEVICES   # is there a GPU, and is it hidden?",
            "In a container: docker run --gpus all ...   For a machine without one: vLLM's CPU"
            " build.",
        ),
        yields_to=frozenset({"driver-too-old"}),
    ),
)
