"""Which packages vLLM's offline engine imports that the environment has not, tried where it runs.

argv: the environment's folder, the folder of wheels. Each missing one is installed from the wheels,
and told.
"""

import re
import subprocess
import sys

MODULES = (
    "vllm",
    "vllm.entrypoints.llm",
    "vllm.v1.engine.core",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.worker.gpu_worker",
    "vllm.v1.worker.gpu_model_runner",
    "vllm.v1.sample.sampler",
    "vllm.v1.attention.backends.triton_attn",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.models.registry",
    "vllm.model_executor.layers.quantization.modelopt",
    "vllm.model_executor.warmup.kernel_warmup",
    "vllm.model_executor.model_loader.default_loader",
    "vllm.v1.executor.uniproc_executor",
    "vllm.compilation.backends",
)
CODE = (
    "import importlib\n"
    "import vllm.platforms; print('platform', vllm.platforms.current_platform)\n"
    f"for name in {MODULES!r}: importlib.import_module(name)\n"
    "print('all imported')\n"
)


def main() -> None:
    env, wheels = sys.argv[1:3]
    for _ in range(30):
        done = subprocess.run(
            [f"{env}/bin/python", "-c", CODE], capture_output=True, text=True, check=False
        )
        lost = re.findall(r"No module named '([^'.]+)", done.stderr)
        if not lost:
            print(done.stdout[-300:], done.stderr[-1800:])
            return
        name = lost[-1]
        got = subprocess.run(
            [
                "uv",
                "pip",
                "install",
                "-q",
                "--python",
                f"{env}/bin/python",
                "--no-deps",
                "--no-index",
                "--find-links",
                wheels,
                {"PIL": "pillow", "zmq": "pyzmq"}.get(name, name),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        print(f"missing {name}: {'installed' if got.returncode == 0 else got.stderr[-200:]}")
        if got.returncode:
            print(done.stderr[-1500:])
            return


main()
