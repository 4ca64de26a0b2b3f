"""Logs of dead engines, as vLLM wrote them: the error shown is the one that started it."""

from pathlib import Path

from vllm_forge.run.engine_failure import engine_failure

LOST = """\
INFO 11-23 19:57:40 [__init__.py:241] Automatically detected platform cpu.
\x1b[1;36m(EngineCore_0 pid=30571)\x1b[0;0m ERROR 11-23 19:57:58 [core.py:700] \
Traceback (most recent call last):
\x1b[1;36m(EngineCore_0 pid=30571)\x1b[0;0m ERROR 11-23 19:57:58 [core.py:700] \
  File "/tree/vllm/v1/engine/core.py", line 691, in run_engine_core
\x1b[1;36m(EngineCore_0 pid=30571)\x1b[0;0m ERROR 11-23 19:57:58 [core.py:700] \
AttributeError: '_OpNamespace' '_C' object has no attribute 'static_scaled_fp8_quant'
Traceback (most recent call last):
  File "/tree/vllm/v1/engine/utils.py", line 759, in wait_for_engine_startup
    raise RuntimeError("Engine core initialization failed. "
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""

PYDANTIC = """\
\x1b[1;36m(APIServer pid=7)\x1b[0;0m Traceback (most recent call last):
\x1b[1;36m(APIServer pid=7)\x1b[0;0m   File "/tree/vllm/engine/arg_utils.py", line 904, in create
\x1b[1;36m(APIServer pid=7)\x1b[0;0m     return ModelConfig(
\x1b[1;36m(APIServer pid=7)\x1b[0;0m pydantic_core._pydantic_core.ValidationError: \
1 validation error for ModelConfig
\x1b[1;36m(APIServer pid=7)\x1b[0;0m   Value error, User-specified max_model_len (100000) is \
greater than the derived max_model_len (max_position_embeddings=512 or model_max_length=None in \
model's config.json). [type=value_error, input_value=ArgsKwargs((), {})]
\x1b[1;36m(APIServer pid=7)\x1b[0;0m     For further information visit the pages of pydantic
"""


def test_known_cause_comes_with_its_fix(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(LOST)
    problem = engine_failure("nothing was generated", log)
    assert problem.causes[0] == (
        "AttributeError: '_OpNamespace' '_C' object has no attribute 'static_scaled_fp8_quant'"
    )
    assert problem.causes[-1].startswith("native-op-missing: ")
    assert any("vllm-forge dequantize" in hint for hint in problem.hints)
    assert problem.hints[-1] == f"the engine's whole log: {log}"


def test_unknown_cause_keeps_what_pydantic_says(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(PYDANTIC)
    causes = engine_failure("nothing was generated", log).causes
    assert causes[0].endswith("ValidationError: 1 validation error for ModelConfig")
    assert "max_position_embeddings=512" in causes[1]


def test_no_log(tmp_path: Path) -> None:
    assert engine_failure("nothing", tmp_path / "none.log").causes == ("it said nothing",)
