"""Which weights, arguments and variables: every branch from facts to decision, as values."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import Checkpoint, Dimensions, Format, Shape, Shard
from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import Gpu, Machine, Memory
from vllm_forge.records.release import Release
from vllm_forge.records.run import Mode, RunDecision, RunKind, RunWishes
from vllm_forge.resolve.run_path import UNPACKABLE, Asked, choose_run, lowest_capability
from vllm_forge.resolve.run_room import choose_tensor_parallel
from vllm_forge.run.dequantize_plan import KINDS

Known = Callable[[str], Release]

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
GIB = 1 << 30
LAPTOP = Machine(memory=Memory(total_bytes=16 * GIB, available_bytes=12 * GIB), gpus=())
L40S = Gpu("NVIDIA L40S", "8.9", 45 * GIB)
A100 = Gpu("NVIDIA A100", "8.0", 80 * GIB)
B200 = Gpu("NVIDIA B200", "10.0", 179 * GIB)


@pytest.fixture(scope="module")
def fp8_033() -> Checkpoint:
    """ModelOpt 0.33.1's FP8: quant_method is missing, a tokenizer is there."""
    return read_checkpoint(DATA / "export-0.33.1-fp8")


@pytest.fixture(scope="module")
def nvfp4() -> Checkpoint:
    """ModelOpt 0.46's NVFP4: metadata is right, there is no tokenizer."""
    return read_checkpoint(DATA / "exports-0.46" / "nvfp4")


def decide(
    checkpoint: Checkpoint,
    release: Release,
    machine: Machine,
    *,
    device: str = "cuda",
    wishes: RunWishes | None = None,
) -> RunDecision:
    parameters = facts_of(checkpoint).parameters
    wishes = wishes or RunWishes(text=False)
    return choose_run(Asked(checkpoint, parameters, release, device, machine, wishes))


def with_gpus(*gpus: Gpu) -> Machine:
    return replace(LAPTOP, gpus=gpus)


def kind_of(decision: RunDecision) -> RunKind:
    assert decision.path is not None, decision.refused
    return decision.path.value.kind


def arguments_of(decision: RunDecision) -> dict[str, object]:
    return {chosen.subject: chosen.value for chosen in decision.arguments}


def subjects(decision: RunDecision) -> list[str]:
    return [refusal.subject for refusal in decision.refused]


def of_size(checkpoint: Checkpoint, size: int) -> Checkpoint:
    """The same with shards that say they are that large."""
    shard = Shard("model.safetensors", size, size, 1)
    return replace(checkpoint, weights=replace(checkpoint.weights, shards=(shard,)))


class TestPath:
    def test_quantized_weights_are_unpacked_for_a_cpu(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        decision = decide(fp8_033, known_release("0.10.1"), LAPTOP, device="cpu")
        assert kind_of(decision) is RunKind.DEQUANTIZED
        assert "quantization" not in arguments_of(decision)
        assert decision.path is not None
        assert "static_scaled_fp8_quant" in decision.path.because[0].fact

    def test_plain_weights_run_on_a_cpu_as_they_are(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        plain = replace(
            fp8_033,
            config=None,
            hf_quant_config=None,
            format=Format.NONE,
            shape=Shape.UNQUANTIZED,
            observed=(),
        )
        decision = decide(plain, known_release("0.10.1"), LAPTOP, device="cpu")
        assert kind_of(decision) is RunKind.NATIVE

    def test_missing_method_is_repaired_on_a_gpu(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        decision = decide(fp8_033, known_release("0.10.1"), with_gpus(L40S))
        assert kind_of(decision) is RunKind.REPAIRED
        assert decision.path is not None
        assert [change.at[-1] for change in decision.path.value.verdict.changes] == [
            "quant_method",
            "exclude_modules",
        ]

    def test_repair_for_0_8_passes_the_method(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        decision = decide(fp8_033, known_release("0.8.5"), with_gpus(L40S))
        assert kind_of(decision) is RunKind.REPAIRED
        assert arguments_of(decision)["quantization"] == "modelopt"

    @pytest.mark.parametrize(("gpu", "kind"), [(B200, RunKind.NATIVE), (L40S, RunKind.FALLBACK)])
    def test_kernels_decide_native_or_fallback(
        self, nvfp4: Checkpoint, known_release: Known, gpu: Gpu, kind: RunKind
    ) -> None:
        assert kind_of(decide(nvfp4, known_release("0.14.0"), with_gpus(gpu))) is kind

    def test_lowest_gpu_decides(self, nvfp4: Checkpoint, known_release: Known) -> None:
        decision = decide(nvfp4, known_release("0.14.0"), with_gpus(B200, L40S))
        assert kind_of(decision) is RunKind.FALLBACK

    def test_a_gpu_without_the_kernels_gets_bf16(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        decision = decide(fp8_033, known_release("0.14.0"), with_gpus(A100))
        assert kind_of(decision) is RunKind.DEQUANTIZED
        assert decision.path is not None
        facts = [reason.fact for reason in decision.path.because]
        assert "modelopt asks for compute capability 8.9" in facts

    def test_unknown_capability_is_said(self, nvfp4: Checkpoint, known_release: Known) -> None:
        decision = decide(nvfp4, known_release("0.14.0"), with_gpus(Gpu("NVIDIA new")))
        assert decision.path is not None
        assert "NVIDIA new is unknown" in decision.path.because[0].fact

    def test_cuda_build_without_gpu_is_refused(
        self, nvfp4: Checkpoint, known_release: Known
    ) -> None:
        decision = decide(nvfp4, known_release("0.14.0"), LAPTOP)
        assert subjects(decision) == ["path"]
        assert decision.refused[0].ways_out == ("vllm-forge build --device cpu",)

    @pytest.mark.parametrize(("compiled", "runs"), [("8.9", True), ("8.0", True), ("9.0a", False)])
    def test_gpu_that_the_build_has_no_code_for(
        self, nvfp4: Checkpoint, known_release: Known, compiled: str, *, runs: bool
    ) -> None:
        release, machine = known_release("0.14.0"), with_gpus(L40S)
        wishes = RunWishes(text=False)
        decision = choose_run(Asked(nvfp4, 1, release, "cuda", machine, wishes, (compiled,)))
        assert (decision.path is not None) is runs
        if not runs:
            assert decision.refused[0].ways_out == ("vllm-forge build --gpu-arch 8.9",)

    @pytest.mark.parametrize("present", [True, False])
    def test_torch_samples_where_flashinfer_is_missing(
        self, nvfp4: Checkpoint, known_release: Known, *, present: bool
    ) -> None:
        release, machine = known_release("0.14.0"), with_gpus(L40S)
        asked = Asked(nvfp4, 1, release, "cuda", machine, RunWishes(text=False), flashinfer=present)
        chosen = {one.subject: one.value for one in choose_run(asked).environment}
        assert ("VLLM_USE_FLASHINFER_SAMPLER" in chosen) is not present

    def test_metadata_alone_is_refused(self, known_release: Known) -> None:
        published = next((DATA / "published").iterdir())
        decision = decide(read_checkpoint(published), known_release("0.14.0"), with_gpus(B200))
        assert "path" in subjects(decision)

    def test_unknown_layout_is_refused_on_a_cpu(self, known_release: Known) -> None:
        awq = read_checkpoint(DATA / "exports-0.46" / "int4_awq")
        decision = decide(awq, known_release("0.14.0"), LAPTOP, device="cpu")
        assert "path" in subjects(decision)
        assert any("W4A16_AWQ" in reason.fact for reason in decision.refused[0].because)

    def test_what_is_unpackable_is_what_dequantize_unpacks(self) -> None:
        assert frozenset(KINDS) == UNPACKABLE

    def test_ten_is_more_than_nine(self) -> None:
        assert lowest_capability((Gpu("a", "10.0"), Gpu("b", "9.0"), Gpu("c"))) == "9.0"


class TestRoom:
    def test_bf16_that_the_memory_cannot_hold_is_refused(
        self, nvfp4: Checkpoint, known_release: Known
    ) -> None:
        asked = Asked(
            nvfp4, 9 * 10**9, known_release("0.14.0"), "cpu", LAPTOP, RunWishes(text=False)
        )
        decision = choose_run(asked)
        assert subjects(decision) == ["memory"]
        assert "16.8 GiB and this machine has 16.0 GiB" in decision.refused[0].because[0].fact

    def test_a_cgroup_limit_is_the_machine(self, nvfp4: Checkpoint, known_release: Known) -> None:
        limited = replace(LAPTOP, memory=replace(LAPTOP.memory, limit_bytes=2 * GIB))
        asked = Asked(
            nvfp4, 2 * 10**9, known_release("0.14.0"), "cpu", limited, RunWishes(text=False)
        )
        assert subjects(choose_run(asked)) == ["memory"]

    def test_large_weights_are_spread(self, nvfp4: Checkpoint, known_release: Known) -> None:
        large = of_size(nvfp4, 60 * GIB)
        decision = decide(large, known_release("0.14.0"), with_gpus(*[L40S] * 4))
        assert arguments_of(decision)["tensor_parallel_size"] == 2

    def test_small_weights_take_one_gpu(self, nvfp4: Checkpoint, known_release: Known) -> None:
        decision = decide(nvfp4, known_release("0.14.0"), with_gpus(L40S, L40S))
        assert "tensor_parallel_size" not in arguments_of(decision)

    def test_too_large_for_all_is_refused(self, nvfp4: Checkpoint, known_release: Known) -> None:
        decision = decide(of_size(nvfp4, 90 * GIB), known_release("0.14.0"), with_gpus(L40S))
        assert subjects(decision) == ["tensor_parallel_size"]

    def test_heads_decide_how_it_can_be_spread(self) -> None:
        heads = Dimensions(attention_heads=12)
        chosen = choose_tensor_parallel(heads, 4 * 35 * GIB, (L40S,) * 8, None)
        assert isinstance(chosen, Chosen)
        assert chosen.value == 4
        refused = choose_tensor_parallel(heads, GIB, (L40S,) * 8, 5)
        assert isinstance(refused, Refused)
        assert refused.ways_out == ("--tensor-parallel-size 6",)

    def test_more_gpus_than_there_are(self) -> None:
        refused = choose_tensor_parallel(Dimensions(), GIB, (L40S,), 2)
        assert isinstance(refused, Refused)

    def test_cache_leaves_room_for_the_weights(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        def space(available: int) -> str:
            machine = replace(LAPTOP, memory=Memory(64 * GIB, None, available * GIB))
            decision = decide(fp8_033, known_release("0.10.1"), machine, device="cpu")
            return {one.subject: one.value for one in decision.environment}[
                "VLLM_CPU_KVCACHE_SPACE"
            ]

        assert [space(free) for free in (1, 5, 60)] == ["1", "2", "4"]


class TestRefusals:
    def test_remote_code_needs_a_word(self, fp8_033: Checkpoint, known_release: Known) -> None:
        model = replace(fp8_033.model, remote_code=("modeling_x.py", "org/repo--conf.py"))
        brings = replace(fp8_033, model=model)
        release = known_release("0.10.1")
        silent = decide(brings, release, LAPTOP, device="cpu")
        assert subjects(silent) == ["trust_remote_code"]
        assert "modeling_x.py, org/repo--conf.py" in silent.refused[0].because[0].fact
        trusted = RunWishes(text=False, trust_remote_code=True)
        decision = decide(brings, release, LAPTOP, device="cpu", wishes=trusted)
        assert decision.refused == ()
        assert arguments_of(decision)["trust_remote_code"] is True
        without = RunWishes(text=False, trust_remote_code=False)
        decision = decide(brings, release, LAPTOP, device="cpu", wishes=without)
        assert decision.refused == ()
        assert "trust_remote_code" not in arguments_of(decision)

    def test_trust_without_remote_code_is_not_passed(
        self, fp8_033: Checkpoint, known_release: Known
    ) -> None:
        wishes = RunWishes(trust_remote_code=True)
        decision = decide(fp8_033, known_release("0.10.1"), LAPTOP, device="cpu", wishes=wishes)
        assert "trust_remote_code" not in arguments_of(decision)

    def test_text_needs_a_tokenizer(self, nvfp4: Checkpoint, known_release: Known) -> None:
        release, machine = known_release("0.14.0"), with_gpus(B200)
        refused = decide(nvfp4, release, machine, wishes=RunWishes(text=True))
        assert subjects(refused) == ["tokenizer"]
        assert any("--prompt-token-ids" in way for way in refused.refused[0].ways_out)
        ids = decide(nvfp4, release, machine, wishes=RunWishes(text=False))
        assert arguments_of(ids)["skip_tokenizer_init"] is True
        named = decide(nvfp4, release, machine, wishes=RunWishes(tokenizer="/t"))
        assert arguments_of(named)["tokenizer"] == "/t"
        assert "skip_tokenizer_init" not in arguments_of(named)

    def test_every_refusal_is_told_at_once(self, nvfp4: Checkpoint, known_release: Known) -> None:
        model = replace(nvfp4.model, remote_code=("x.py",))
        brings = replace(nvfp4, model=model)
        decision = decide(brings, known_release("0.14.0"), LAPTOP, wishes=RunWishes())
        assert subjects(decision) == ["path", "trust_remote_code", "tokenizer"]

    def test_a_server_compiles_its_graphs(self, fp8_033: Checkpoint, known_release: Known) -> None:
        serving = RunWishes(mode=Mode.SERVE)
        decision = decide(fp8_033, known_release("0.10.1"), LAPTOP, device="cpu", wishes=serving)
        assert "enforce_eager" not in arguments_of(decision)
        assert [one.subject for one in decision.environment] == ["VLLM_CPU_KVCACHE_SPACE"]
