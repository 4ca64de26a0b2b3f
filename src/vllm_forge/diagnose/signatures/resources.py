"""Memory and disk: what the machine ran out of."""

from vllm_forge.diagnose.advice import memory_bytes, safe_jobs
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.resolve.advice import gib


def killed_cause(names: Names, scene: Scene) -> str:
    said = ("victim", "other", "asking", "ended", "linker")
    victim = next((names[key] for key in said if names.get(key)), "a process")
    if not scene.clues.compiling:
        return f"The kernel killed {victim}: memory (RAM, or the container's limit) ran out."
    jobs = scene.clues.get("jobs")
    count = f"the {jobs} compilers" if jobs else "the compilers"
    memory = memory_bytes(scene)
    room = f"the {gib(memory)} of this machine" if memory else "there is"
    return (
        f"The kernel killed {victim} for lack of memory: {count} that ran at once need more than"
        f" {room}."
    )


def killed_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names
    if not scene.clues.compiling:
        return (
            "dmesg -T | grep -i 'killed process'   # which process, and how large it was",
            "Give the job more memory, or ask for less (docker run --memory, --shm-size).",
        )
    jobs = safe_jobs(scene)
    acts = [f"export MAX_JOBS={jobs} NVCC_THREADS=1   # then build again"]
    memory = memory_bytes(scene)
    if memory and jobs == 1:
        acts.append(f"Add swap if {gib(memory)} do not hold one compiler (up to 8 GiB for a file).")
    elif not memory:
        acts.append("Allow about 6 GiB for each job: MAX_JOBS = memory / 6 GiB.")
    return tuple(acts)


def full_folder(names: Names) -> str:
    """The folder of the file that could not be written, "" where the log does not say."""
    path = names.get("path") or names.get("quoted") or names.get("object") or ""
    return path.rpartition("/")[0] or path


def full_cause(names: Names, scene: Scene) -> str:
    del scene
    path = full_folder(names)
    return f"The file system that holds {path} is full." if path else "A file system is full."


def full_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    path = full_folder(names)
    if path.startswith("/dev/shm"):  # noqa: S108 -- a path read in a log, not one we write to
        return ("Give the container more shared memory: docker run --shm-size=16g, or --ipc=host",)
    free = scene.machine.disk.free_bytes
    acts = [f"df -h {path or '$TMPDIR .'}   # which file system is full"]
    acts.append(
        "Free room there, or let temporary files go elsewhere: export TMPDIR=/path/with/room"
    )
    if free is not None:
        acts.append(f"This machine has {gib(free)} free where vllm-forge keeps its home.")
    if not path or "/docker" in path or "/var/lib" in path:
        acts.append("In a container: docker system df; docker builder prune")
    return tuple(acts)


def share(names: Names) -> float:
    """What vLLM may ask for: the free part, less a margin of two hundredths."""
    return max(0.1, float(names["free"]) / float(names["total"]) - 0.02)


SIGNATURES = (
    Signature(
        "oom-kill",
        kinds(Kind.KERNEL),
        pattern(
            r"Killed process \d+,? \((?P<victim>[^)]+)\)"
            r"|Killed signal terminated program (?P<other>[\w+]+)"
        ),
        killed_cause,
        killed_fix,
    ),
    Signature(
        "oom-kill",
        kinds(Kind.KERNEL),
        pattern(
            r"'(?P<victim>[\w+.-]+)' died due to signal 9|signal: 9,? \(?SIGKILL|OOMKilled"
            r"|\*\*\* \[[^\n]*\] Killed|Process completed with exit code 137"
            r"|terminated by signal SIGKILL|oom-kill:.*task=(?P<other>[\w+.-]+)"
            r"|internal compiler error: Killed \(program (?P<ended>\w+)"
            r"|execute command: Killed|(?P<linker>\w+) terminated with signal 9\b"
            r"|not complete successfully: exit code: 137|oom_kill event"
            r"|(?P<asking>[\w+.-]+) invoked oom-killer|(?m:^Killed\s*$)|\bKilled\x20{2,}\S"
        ),
        killed_cause,
        killed_fix,
    ),
    Signature(
        "oom-kill",
        kinds(Kind.KERNEL, Kind.EXCEPTION),
        pattern(
            r"(?:cmake|ninja|nvcc|cc1plus|--build)\b.*(?:returned non-zero exit status (?:-9|137"
            r"|9)\b"
            r"|died with <Signals\.SIGKILL)"
        ),
        killed_cause,
        killed_fix,
    ),
    Signature(
        "oom-kill",
        kinds(Kind.NINJA),
        pattern(r"FAILED: \[code=(?:137|-9)\]"),
        killed_cause,
        killed_fix,
    ),
    Signature(
        "oom-kill",
        kinds(Kind.COMPILER, Kind.KERNEL),
        pattern(
            r"cc1plus: out of memory allocating|virtual memory exhausted: Cannot allocate memory"
            r"|(?P<victim>cudafe\+\+|cicc|ptxas|nvcc).*(?:std::bad_alloc|[Oo]ut of memory)"
        ),
        killed_cause,
        killed_fix,
    ),
    Signature(
        "oom-kill",
        kinds(Kind.EXCEPTION),
        pattern(
            r"ray\.exceptions\.OutOfMemoryError|OSError: \[Errno 12\] Cannot allocate memory"
            r"|DefaultCPUAllocator: can't allocate memory|exitcode: -9\b"
        ),
        "Main memory (not the GPU's) ran out.",
        killed_fix,
    ),
    Signature(
        "disk-full",
        kinds(Kind.COMPILER, Kind.LINKER, Kind.FRONTEND, Kind.EXCEPTION, Kind.CMAKE, Kind.SHELL),
        pattern(
            r"(?i)(?:to|file|output) [`'\"]?(?P<path>/[^\s:`'\"]+)[`'\"]?:?\s?No space left on"
            r" device"
            r"|(?:\[Errno 28\] )?No space left on device: '(?P<quoted>/[^']+)'"
            r"|(?P<object>/[^\s:]+): No space left on device|No space left on device|Errno 28\]"
            r"|os error 28\)|Disk quota exceeded"
        ),
        full_cause,
        full_fix,
    ),
    Signature(
        "disk-full",
        kinds(Kind.PLAIN, Kind.LOGGED),
        pattern(r"(?:write|writing).*No space left on device|\[Errno 28\] No space left on device"),
        "A file system is full.",
        full_fix,
        before=pattern(r"\S"),
    ),
    Signature(
        "out-of-gpu-memory",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Free memory on device (?:\S+ )?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on"
            r" startup is less"
            r" than desired GPU memory utilization \((?P<wanted>[\d.]+)"
        ),
        "Only {free} of the GPU's {total} GiB were free at start: another process holds the rest,"
        " and"
        " vLLM wanted {wanted} of all.",
        lambda names, _: (
            "nvidia-smi   # which process holds the memory; end it if it is yours",
            f"vllm serve ... --gpu-memory-utilization {share(names):.2f}",
        ),
    ),
    Signature(
        "out-of-gpu-memory",
        kinds(Kind.EXCEPTION),
        pattern(
            r"max(?:imum)? seq(?:uence)? len(?:gth)?\s?\((?P<length>\d+)\)(?:.|\n)*?"
            r"(?:larger than the (?:maximum number of tokens that can be stored in KV cache \("
            r"(?P<fits>\d+)\)"
            r"|available KV cache memory)(?:(?:.|\n)*?estimated maximum model length is "
            r"(?P<about>\d+))?)"
        ),
        "The KV cache that is left on the GPU does not hold one request of {length} tokens.",
        lambda names, _: (
            f"vllm serve ... --max-model-len {names['fits'] or names['about'] or '8192'}",
            "or give vLLM more of the GPU: --gpu-memory-utilization 0.95",
        ),
    ),
    Signature(
        "out-of-gpu-memory",
        kinds(Kind.EXCEPTION),
        pattern(r"No available memory for the cache blocks"),
        "The weights and one forward pass leave no GPU memory for the KV cache.",
        acts(
            "vllm serve ... --gpu-memory-utilization 0.95 --max-model-len 8192",
            "nvidia-smi   # whether another process holds memory of this GPU",
            "If the weights alone fill the GPU: --tensor-parallel-size N, or a quantized"
            " checkpoint.",
        ),
    ),
    Signature(
        "out-of-gpu-memory",
        kinds(Kind.EXCEPTION),
        pattern(
            r"CUDA out of memory occurred when warming up (?P<step>sampler|pooler).*with "
            r"(?P<requests>\d+)"
            r"|warming up (?:sampler|pooler) with \d+ dummy requests"
        ),
        "Warming up for {requests} requests at once does not fit into the GPU's memory.",
        acts("vllm serve ... --max-num-seqs 256   # halve it again if that does not do"),
    ),
    Signature(
        "out-of-gpu-memory",
        kinds(Kind.EXCEPTION),
        pattern(
            r"(?:CUDA|HIP) out of memory\.?(?: Tried to allocate (?P<size>[\d.]+ [KMG]iB))?"
            r"|CUDA error: out of memory|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED"
            r"|torch(?:\.cuda)?\.OutOfMemoryError|Cuda failure \d*\s?'out of memory'"
        ),
        "The GPU's memory does not hold weights, activations and KV cache together.",
        acts(
            "nvidia-smi   # whether another process holds memory of this GPU",
            "vllm serve ... --max-model-len 8192 --max-num-seqs 64 --enforce-eager",
            "If the weights alone fill the GPU: --tensor-parallel-size N, or a quantized"
            " checkpoint.",
        ),
    ),
)
