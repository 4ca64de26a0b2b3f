"""Which names a source certainly takes from torch."""

import pytest

from vllm_forge.release.cxx_condition import parse_condition
from vllm_forge.release.cxx_names import parse_cxx


@pytest.mark.parametrize(
    ("condition", "cuda", "cpu"),
    [
        ("defined(USE_ROCM)", False, False),
        ("!defined USE_ROCM", True, True),
        ("defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800", False, False),
        ("!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800", True, True),
        ("defined(VLLM_CPU_EXTENSION)", False, True),
        ("defined(CUDA_VERSION) && (CUDA_VERSION >= 12000)", None, None),
        ("defined(USE_ROCM) || defined(CUDA_VERSION)", None, None),
        ("defined(USE_ROCM) && defined(CUDA_VERSION)", False, False),
        ("defined(__gfx942__)", False, False),
        ("1", True, True),
        ("0", False, False),
        ("(2 > 1) && 3 != 3", False, False),
        ("TORCH_VERSION_MAJOR >= 2", None, None),
        ("HAS(x, y)", None, None),
        ("A + 1 > 2", None, None),
        ("", None, None),
    ],
)
def test_conditions(condition: str, *, cuda: bool | None, cpu: bool | None) -> None:
    assert parse_condition(condition, "cuda") is cuda
    assert parse_condition(condition, "cpu") is cpu


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at::Tensor x;", {"at::Tensor"}),
        ("::c10::Half x;", {"c10::Half"}),
        ("torch :: kFloat8 x;", {"torch::kFloat8"}),
        ("f(at::ScalarType::Half)", {"at::ScalarType::Half"}),
        ("data_ptr<at::Float8_e8m0fnu>();", {"at::Float8_e8m0fnu"}),
        ("other::at::Tensor x; mytorch::y z; x.at::q", set()),
        ("// at::A\n/* at::B\n at::C */ at::D d;", {"at::D"}),
        ('auto s = "at::A \\" at::B"; at::C c;', {"at::C"}),
        ('auto s = R"(at::A)"; char c = \'"\'; at::B b;', {"at::B"}),
        ("int n = 1'000'000; at::A a;", {"at::A"}),
        ("#ifdef USE_ROCM\nat::A a;\n#else\nat::B b;\n#endif", {"at::B"}),
        ("#ifndef USE_ROCM\nat::A a;\n#else\nat::B b;\n#endif", {"at::A"}),
        ("#if MYSTERY\nat::A a;\n#else\nat::B b;\n#endif\nat::C c;", {"at::C"}),
        ("#if 0\nat::A a;\n#elif 1\nat::B b;\n#else\nat::C c;\n#endif", {"at::B"}),
        ("#if 1\nat::A a;\n#elif MYSTERY\nat::B b;\n#endif", {"at::A"}),
        ("#if MYSTERY\nat::A a;\n#elif 1\nat::B b;\n#endif", set()),
        ("#if defined(__CUDA_ARCH__) && \\\n  __CUDA_ARCH__ < 800\nat::A a;\n#endif", set()),
        ("#ifndef GUARD\n#define GUARD\nat::A a;\n#endif", {"at::A"}),
        ("#ifndef MYSTERY\nat::A a;\n#endif", set()),
        ("#if 1\n#ifdef USE_ROCM\nat::A a;\n#endif\nat::B b;\n#endif", {"at::B"}),
        ("#define USE(x) at::OnlyIfExpanded(x)\nat::A a;", {"at::A"}),
        ("#define LONG(x) \\\n  at::OnlyIfExpanded(x)\n", set()),
    ],
)
def test_names(text: str, expected: set[str]) -> None:
    assert parse_cxx(text, "cuda").names == expected


def test_includes() -> None:
    text = (
        '#include "near.h"\n#include <torch/all.h>\n#include <vector>\n'
        '// #include "gone.h"\n#ifdef USE_ROCM\n#include <ATen/hip/HIPContext.h>\n#endif\n'
    )
    found = parse_cxx(text, "cuda")
    assert found.includes == ("near.h",)
    assert found.headers == {"torch/all.h"}
