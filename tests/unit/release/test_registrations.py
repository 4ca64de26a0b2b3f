"""Operators that C++ sources register, as vLLM's trees of different ages write it."""

from vllm_forge.records.compiled import Registration
from vllm_forge.release.registrations import parse_registrations

BINDINGS = """
TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
  // m.def("commented() -> ()");
  ops.def(
      "rms_norm(Tensor! out, Tensor input, "
      "float epsilon) -> ()");
  ops.impl("rms_norm", torch::kCUDA, &rms_norm);
#ifdef USE_ROCM
  ops.def("rocm_only() -> ()");
#endif
#ifdef SOME_OPTION
  ops.def("optional() -> ()", {stride_tag});
#endif
  ops.def("plain", &plain);
}
TORCH_LIBRARY_EXPAND(CONCAT(TORCH_EXTENSION_NAME, _cache_ops), cache_ops) {
  cache_ops.def("swap_blocks(Tensor src) -> ()");
}
"""
STABLE = """
STABLE_TORCH_LIBRARY_FRAGMENT(_C, ops) { ops.def("silu(Tensor x) -> ()"); }
STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, ops) { ops.impl("silu", TORCH_BOX(&silu)); }
"""


def registered(text: str) -> list[tuple[str, bool, bool]]:
    found: list[Registration] = list(parse_registrations(text, "b.cpp", "_C", "cuda"))
    return [(one.operator, one.implements, one.certain) for one in found]


def test_namespaces_conditions_and_joined_strings() -> None:
    assert registered(BINDINGS) == [
        ("_C::rms_norm", False, True),
        ("_C::rms_norm", True, True),
        ("_C::rocm_only", False, False),
        ("_C::optional", False, False),
        ("_C::plain", False, True),
        ("_C_cache_ops::swap_blocks", False, True),
    ]


def test_the_stable_abis_macros() -> None:
    assert registered(STABLE) == [("_C::silu", False, True), ("_C::silu", True, True)]
