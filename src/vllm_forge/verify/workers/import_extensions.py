"""Run by the built environment: import extensions, and ask torch's dispatcher what they brought.

argv: NAME=FILE for each. Every file is loaded by itself first, since importing a package may load
its extensions unasked (vLLM does where it finds a GPU), and nobody could tell then what was whose;
then every name is imported. A JSON line on stdout before each (`{"trying": NAME}`), so that one
that ends the interpreter is known by name, and one after each import: `error` (None where it
imports) and `operators`, each with whether torch has an implementation of it under any key. At the
end a line with the `devices` torch can use for CUDA and, where there are none, `why`.
"""

import ctypes
import importlib
import json
import sys

import torch


def main() -> None:
    files = dict(word.split("=", 1) for word in sys.argv[1:])
    brought = {}
    for name, file in files.items():
        say({"trying": name})
        brought[name] = load(file)
    for name in files:
        say({"trying": name})
        say(attempt(name, brought[name]))
    devices = torch.cuda.device_count()
    say({"devices": devices, "why": None if devices else why_no_device()})


def load(file: str) -> set[str] | None:
    """What it registers; None where it cannot be loaded, which its import will tell."""
    before = operator_names()
    try:
        ctypes.CDLL(file)
    except OSError:
        return None
    return operator_names() - before


def attempt(name: str, brought: set[str] | None) -> dict[str, object]:
    """What became of one module; what its package registers in Python is not counted as its own."""
    before: set[str] = set()
    error = None
    try:
        importlib.import_module(name.partition(".")[0])
        before = operator_names()
        importlib.import_module(name)
    except Exception as fault:  # noqa: BLE001 -- whatever it is, it is the answer
        error = f"{type(fault).__name__}: {fault}".splitlines()[0]
    found = () if error else sorted(operator_names() - before if brought is None else brought)
    operators = {one: torch._C._dispatch_has_kernel(one) for one in found}  # noqa: SLF001
    return {"module": name, "error": error, "operators": operators}


def operator_names() -> set[str]:
    """Torch has no other way to list what is registered."""
    return set(torch._C._dispatch_get_all_op_names())  # noqa: SLF001 -- as above


def why_no_device() -> str:
    """What torch says when it is made to start CUDA."""
    try:
        torch.cuda.init()
    except Exception as fault:  # noqa: BLE001 -- whatever it is, it is the answer
        return f"{type(fault).__name__}: {fault}".splitlines()[0]
    return "torch starts CUDA and sees no GPU"


def say(answer: dict[str, object]) -> None:
    sys.stdout.write(f"\nvllm-forge-answer {json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
