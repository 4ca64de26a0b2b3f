"""C++ files as functions, and branches that a GPU never enters."""

from vllm_forge.release.reaching.cxx_dispatch import without_dead_branches
from vllm_forge.release.reaching.cxx_functions import parse_functions

DISPATCH = """\
  int v = get_sm_version_num();
#if defined ENABLE_SM90 && ENABLE_SM90
  if (v >= 90 && v < 100) {
    call_sm90(a);
    return;
  }
#endif
  if (v >= 80) { call_sm80(a); return; }
  fail("}");
"""


def uses(macros: dict[str, bool], capability: int) -> set[str]:
    file = parse_functions(f"void entry(T a) {{\n{DISPATCH}}}\n", macros, (capability,))
    return {name for name in file.definitions["entry"] if name.startswith(("call_", "fail"))}


def test_the_branch_a_gpu_takes_ends_the_function() -> None:
    assert uses({"ENABLE_SM90": True}, 90) == {"call_sm90"}
    assert uses({"ENABLE_SM90": True}, 89) == {"call_sm80"}
    assert uses({"ENABLE_SM90": False}, 90) == {"call_sm80"}


def test_an_undecided_macro_leaves_every_way_open() -> None:
    assert uses({}, 90) == {"call_sm90", "call_sm80"}


def test_gpus_that_differ_keep_both_branches() -> None:
    both = without_dead_branches("int v = get_sm_version_num(); if (v >= 90) { a(); }", (89, 90))
    assert "a();" in both


def test_declared_defined_and_instantiated_are_told_apart() -> None:
    file = parse_functions(
        "namespace n { void far(int x);\n"
        "template <class T> static T near(T x) { return helper<T>(x); }\n"
        "template int made<int>(int);\n"
        "#define LAUNCH(x) kernel_of(x)\n}",
        {},
        (),
    )
    assert "far" in file.declared
    assert "helper" in file.definitions["near"]
    assert {"made", "LAUNCH"} <= file.definitions.keys()
    assert "far" not in file.definitions


def test_operators_of_a_library_block() -> None:
    file = parse_functions(
        "STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, m) {\n"
        '  m.impl("mm.out", TORCH_BOX(&mm_out)); }\n'
        "TORCH_LIBRARY_EXPAND(CONCAT(NAME, _cache_ops), ops) {\n"
        '  ops.def("swap(Tensor a,"\n      " Tensor b) -> ()", &swap); }',
        {},
        (),
    )
    impl, definition = file.registrations
    assert (impl.library, impl.name, impl.defines) == (
        "STABLE_TORCH_LIBRARY_IMPL(_C, CUDA, m)",
        "mm.out",
        False,
    )
    assert "mm_out" in impl.uses
    assert (definition.space, definition.name, definition.defines) == (
        "CONCAT(NAME, _cache_ops)",
        "swap",
        True,
    )
    assert definition.uses == {"swap"}
