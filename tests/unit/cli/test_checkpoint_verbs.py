"""The checkpoint verbs from argv to exit code, documents and files; no engine is started."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.cli.app import run_command_line
from vllm_forge.cli.serve import parse_given
from vllm_forge.records.built import FILE_NAME, Built
from vllm_forge.records.codec import render_json
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.release import known_releases

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
EXPORT = DATA / "export-0.33.1-fp8"
NVFP4 = DATA / "exports-0.46" / "nvfp4"


class Program:
    """The command line, in this process, under a home of its own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        code = run_command_line([*map(str, words), "--home", str(self.home)])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def document(self, *words: str | Path) -> Any:  # noqa: ANN401 -- JSON
        code, out, err = self(*words, "--json")
        assert code == ExitCode.DONE, err
        return json.loads(out)

    def build(self, version: str = "0.10.1+cpu", device: str = "cpu") -> Path:
        """An environment as far as deciding needs one: its file, without tree and Python."""
        environment = self.home / "envs" / "pretended"
        environment.mkdir(parents=True)
        built = Built(
            key="pretended",
            version=version,
            device=device,
            tree=str(self.home / "no-tree"),
            environment=str(environment),
            python=str(environment / "bin" / "python"),
            torch="2.6.0",
            torch_cuda=None,
            gpu_arch=(),
            extensions=(),
            targets=(),
        )
        (environment / FILE_NAME).write_text(render_json(built))
        return environment


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(tmp_path / "home", capsys)


class TestInspect:
    def test_export_of_0_33_needs_a_repair_everywhere(self, program: Program) -> None:
        document = program.document("inspect", EXPORT)
        assert document["kind"] == "checkpoint"
        assert document["facts"]["format"] == "fp8"
        assert [line["version"] for line in document["vllm"]] == list(known_releases())
        assert {line["verdict"] for line in document["vllm"]} == {"repair"}
        by_version = {line["version"]: line for line in document["vllm"]}
        assert "no quant_method" in by_version["0.10.1"]["because"][0]["fact"]
        assert "quant-method-missing" in [one["code"] for one in document["findings"]]

    def test_people_read_spans(self, program: Program) -> None:
        code, out, _ = program("inspect", EXPORT)
        assert code == ExitCode.DONE
        assert "quant_method" in out
        assert "vLLM 0.11.1 to 0.33.0" in out

    def test_one_release_and_one_gpu(self, program: Program) -> None:
        def verdict(capability: str) -> tuple[str, str]:
            words = ("inspect", NVFP4, "--vllm", "0.14.0", "--gpu-arch", capability)
            (line,) = program.document(*words)["vllm"]
            return line["verdict"], line["kernels"]

        assert verdict("10.0") == ("native", "native")
        assert verdict("8.9") == ("emulated", "fallback")

    def test_machine_file_names_the_gpu(self, program: Program, tmp_path: Path) -> None:
        machine = tmp_path / "machine.json"
        gpu = {"name": "NVIDIA V100", "capability": "7.0"}
        machine.write_text(json.dumps({"schema": 1, "gpus": [gpu]}))
        document = program.document("inspect", NVFP4, "--vllm", "0.14.0", "--machine", machine)
        assert document["capability"] == "7.0"
        assert document["vllm"][0]["verdict"] == "refused"

    def test_tensor_parallel_is_linted(self, program: Program) -> None:
        document = program.document("inspect", EXPORT, "--tensor-parallel-size", "3")
        assert "tensor-parallel-indivisible" in [one["code"] for one in document["findings"]]

    def test_source_tree(self, program: Program) -> None:
        tree = Path(__file__).parents[2] / "trees" / "tiny"
        document = program.document("inspect", tree)
        assert document["kind"] == "source-tree"
        assert document["vllm"] == []

    def test_not_a_checkpoint(self, program: Program, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        code, out, err = program("inspect", tmp_path / "empty")
        assert code == ExitCode.BAD_INPUT
        assert out == ""
        assert "there is no config.json" in err

    def test_no_capability(self, program: Program) -> None:
        code, _, err = program("inspect", NVFP4, "--gpu-arch", "sm_89")
        assert code == ExitCode.USAGE
        assert "sm_89" in err


class TestReleases:
    def test_lines(self, program: Program) -> None:
        lines = {line["version"]: line for line in program.document("releases")["releases"]}
        assert lines["0.8.5"]["fp4"] == "nvfp4"
        assert lines["0.10.1"]["torch"] == {"cuda": "==2.7.1", "cpu": "==2.6.0+cpu"}
        assert lines["0.10.1"]["fp4"] == "modelopt_fp4"

    def test_show(self, program: Program) -> None:
        (release,) = program.document("releases", "show", "0.10.1")["releases"]
        assert release["version"]["value"] == "0.10.1"
        code, out, _ = program("releases", "show", "0.10.1")
        assert code == ExitCode.DONE
        assert "requirements/cuda.txt:" in out

    def test_unknown(self, program: Program) -> None:
        code, _, err = program("releases", "show", "0.7.99")
        assert code == ExitCode.USAGE
        assert "0.7.99" in err


class TestRepair:
    def test_view(self, program: Program, tmp_path: Path) -> None:
        original = Path(shutil.copytree(EXPORT, tmp_path / "original"))
        before = {file.name: file.read_bytes() for file in original.iterdir()}
        view = tmp_path / "view"
        words = ("repair", original, "--output", view, "--vllm", "0.10.1")
        document = program.document(*words)
        assert document["status"] == "repaired"
        keys = [change["at"][-1] for change in document["changes"]]
        assert keys == ["quant_method", "exclude_modules"]
        config = json.loads((view / "config.json").read_text())["quantization_config"]
        assert config["quant_method"] == "modelopt"
        assert config["exclude_modules"] == ["lm_head"]
        assert {file.name: file.read_bytes() for file in original.iterdir()} == before
        again, _, err = program(*words)
        assert again == ExitCode.USAGE
        assert "is already there" in err

    def test_dry_run_makes_nothing(self, program: Program, tmp_path: Path) -> None:
        view = tmp_path / "view"
        document = program.document("repair", EXPORT, "--output", view, "--dry-run")
        assert document["status"] == "planned"
        assert document["vllm"] == known_releases()[-1]
        assert not view.exists()

    def test_release_that_was_built_is_meant(self, program: Program, tmp_path: Path) -> None:
        environment = program.build("0.8.5+cpu")
        (program.home / "last-environment").write_text(f"{environment}\n")
        document = program.document("repair", EXPORT, "--output", tmp_path / "view", "-n")
        assert document["vllm"] == "0.8.5"
        assert document["quantization"] == "modelopt"


class TestDequantize:
    def test_dry_run_lists_the_tensors(self, program: Program, tmp_path: Path) -> None:
        output = tmp_path / "plain"
        document = program.document("dequantize", EXPORT, "--output", output, "--dry-run")
        assert document["status"] == "planned"
        assert len(document["tensors"]) == 14
        assert {tensor["algorithm"] for tensor in document["tensors"]} == {"FP8"}
        assert not output.exists()

    def test_needs_something_built(self, program: Program, tmp_path: Path) -> None:
        code, _, err = program("dequantize", EXPORT, "--output", tmp_path / "plain")
        assert code == ExitCode.USAGE
        assert "nothing was built" in err


class TestRun:
    def test_dry_run_tells_path_and_arguments(self, program: Program) -> None:
        environment = program.build()
        words = ("run", EXPORT, "--prompt", "hello", "--env", environment, "--dry-run")
        document = program.document(*words)
        assert document["status"] == "planned"
        assert document["choices"]["path"]["value"] == "dequantized"
        assert document["arguments"] == {"enforce_eager": True}
        assert document["outputs"] == []
        assert not (program.home / "checkpoints").exists()

    def test_user_variable_goes_first(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
        environment = program.build()
        words = ("run", EXPORT, "--prompt", "hello", "--env", environment, "--dry-run")
        assert program.document(*words)["environment"]["VLLM_CPU_KVCACHE_SPACE"] == "7"

    def test_refusals_are_a_document_too(self, program: Program) -> None:
        environment = program.build(device="cuda")
        words = ("run", NVFP4, "--prompt", "hello", "--env", environment, "--json")
        code, out, _ = program(*words)
        assert code == ExitCode.REFUSED
        document = json.loads(out)
        assert document["status"] == "refused"
        assert "tokenizer" in [refusal["subject"] for refusal in document["refusals"]]

    def test_remote_code_is_named(self, program: Program, tmp_path: Path) -> None:
        brings = Path(shutil.copytree(EXPORT, tmp_path / "brings"))
        (brings / "modeling_own.py").write_text("raise SystemExit('run!')\n")
        config = json.loads((brings / "config.json").read_text())
        config["auto_map"] = {"AutoModelForCausalLM": "modeling_own.Own"}
        (brings / "config.json").write_text(json.dumps(config))
        environment = program.build()
        words = ("run", brings, "--prompt", "hello", "--env", environment, "--dry-run")
        code, _, err = program(*words)
        assert code == ExitCode.REFUSED
        assert "modeling_own.py" in err
        assert program.document(*words, "--trust-remote-code")["arguments"]["trust_remote_code"]
        without = program.document(*words, "--no-trust-remote-code")
        assert "trust_remote_code" not in without["arguments"]

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("--prompt", "a", "--prompt-token-ids", "1"),
            ("--prompt-token-ids", "1,two"),
            ("--prompt-token-ids", ""),
            ("--prompt", "a", "--max-tokens", "0"),
        ],
    )
    def test_usage(self, program: Program, words: tuple[str, ...]) -> None:
        code, _, err = program("run", EXPORT, *words)
        assert code == ExitCode.USAGE
        assert err


class TestServe:
    def test_given_options(self) -> None:
        words = ["--max-model-len=512", "-tp", "2", "--enable-x", "--api-key", "k"]
        assert parse_given(words) == {
            "max_model_len": "512",
            "tensor_parallel_size": "2",
            "enable_x": "",
            "api_key": "k",
        }

    @pytest.mark.parametrize("option", ["--port", "--host=::", "--uds", "--ssl-keyfile"])
    def test_ours_are_not_passed_on(self, option: str) -> None:
        with pytest.raises(Problem, match="is not passed on"):
            parse_given([option, "1"])

    @pytest.mark.parametrize("port", ["-1", "65536", "http"])
    def test_no_port(self, program: Program, port: str) -> None:
        code, _, err = program("serve", EXPORT, f"--port={port}")
        assert code == ExitCode.USAGE
        assert "port" in err.lower()

    def test_given_ones_win(self, program: Program) -> None:
        environment = program.build()
        words = ("serve", NVFP4, "--env", environment, "--dry-run", "--json")
        code, out, _ = program(*words)
        assert code == ExitCode.REFUSED
        assert [one["subject"] for one in json.loads(out)["refusals"]] == ["tokenizer"]
        code, out, _ = program(*words, "--", "--tokenizer", "/somewhere")
        assert code == ExitCode.DONE
        assert json.loads(out)["arguments"] == {}
