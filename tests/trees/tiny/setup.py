"""The extension list, asked for as vLLM's setup.py asks for it."""

import os
import platform

from setuptools import Extension, setup  # type: ignore[import-untyped]

VLLM_TARGET_DEVICE = os.getenv("VLLM_TARGET_DEVICE", "cuda")


class CMakeExtension(Extension):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__(name, sources=[], py_limited_api=True)


def _is_cuda() -> bool:
    return VLLM_TARGET_DEVICE == "cuda"


def _build_custom_ops() -> bool:
    return VLLM_TARGET_DEVICE in {"cuda", "cpu"} and platform.system() == "Linux"


ext_modules = []

if _is_cuda():
    ext_modules.append(CMakeExtension(name="vllm._moe_C"))

if _build_custom_ops():
    ext_modules.append(CMakeExtension(name="vllm._C"))

if __name__ == "__main__":
    setup(version="0.0.1", packages=["vllm"], ext_modules=ext_modules)
