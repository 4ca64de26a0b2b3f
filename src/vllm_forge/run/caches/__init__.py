"""Compiler caches behind the launcher: ccache and sccache, used only where proven sound."""

from vllm_forge.run.caches.opened import OpenCache
from vllm_forge.run.caches.opening import CacheWish, Compilers, caching

__all__ = ["CacheWish", "Compilers", "OpenCache", "caching"]
