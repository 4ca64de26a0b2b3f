import pytest

from vllm_forge.diagnose.symbols import Owner, read_symbol

NEW = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


@pytest.mark.parametrize(
    ("mangled", "name", "owner", "library"),
    [
        (
            "_ZN5torch3jit17parseSchemaOrNameERKSsb",
            "torch::jit::parseSchemaOrName",
            "torch",
            "libtorch_cpu",
        ),
        (f"_ZN3c105ErrorC2ENS_14SourceLocationE{NEW}", "c10::Error::Error", "torch", "libc10"),
        ("_ZN3c104cuda9SetDeviceEi", "c10::cuda::SetDevice", "torch", "libc10_cuda"),
        ("_ZNK3c106SymIntltEl", "c10::SymInt", "torch", "libc10"),
        ("_ZTIN3c105ErrorE", "c10::Error", "torch", "libc10"),
        (
            "_ZN2at4_ops5zeros4callEN3c108ArrayRefIlEE",
            "at::_ops::zeros::call",
            "torch",
            "libtorch_cpu",
        ),
        (
            "_ZN5torch8autograd13THPVariable_TE",
            "torch::autograd::THPVariable_T",
            "torch",
            "libtorch_cpu",
        ),
        (
            "aoti_torch_create_tensor_from_blob_v2",
            "aoti_torch_create_tensor_from_blob_v2",
            "torch",
            "libtorch",
        ),
        (
            "_Z24silu_and_mul_nvfp4_quantRN2at6TensorES1_S1_S1_",
            "silu_and_mul_nvfp4_quant",
            "other",
            "",
        ),
        ("_ZN4vllm8rms_normERN2at6TensorE", "vllm::rms_norm", "other", ""),
        ("__nvJitLinkComplete_12_4", "__nvJitLinkComplete_12_4", "CUDA", ""),
        ("cuTensorMapEncodeTiled", "cuTensorMapEncodeTiled", "CUDA", ""),
        ("ncclCommWindowRegister", "ncclCommWindowRegister", "CUDA", ""),
        ("_PyThreadState_UncheckedGet", "_PyThreadState_UncheckedGet", "Python", ""),
        (
            "_ZSt28__throw_bad_array_new_lengthv",
            "std::__throw_bad_array_new_length",
            "libstdc++",
            "",
        ),
        ("_ZN", "_ZN", "other", ""),
        ("_ZN3c1099x", "c10", "torch", "libc10"),
    ],
)
def test_a_symbol_is_named_and_attributed(
    mangled: str, name: str, owner: str, library: str
) -> None:
    symbol = read_symbol(mangled)
    assert (symbol.name, symbol.owner, symbol.library) == (name, Owner(owner), library)


@pytest.mark.parametrize(
    ("mangled", "abi"),
    [
        ("_ZN5torch3jit17parseSchemaOrNameERKSsb", "old"),
        ("_ZN5torch7LibraryC1ENS0_4KindESsSt8optionalIN3c1011DispatchKeyEEPKcj", "old"),
        (f"_ZN3c106detail23torchInternalAssertFailEPKcS2_jS2_RK{NEW}", "new"),
        ("_ZN3c104cuda9SetDeviceEi", ""),
    ],
)
def test_the_string_among_the_parameters_tells_the_abi(mangled: str, abi: str) -> None:
    assert read_symbol(mangled).string_abi == abi
