"""Every checkpoint: `vllm-forge run`, `dequantize`, and its logits against the BF16 model's.

argv: the forge's program, the work folder, the folder for results, CHECKPOINT=ENVIRONMENT for each.
Run by a Python with numpy. Logits are compared centred (log-probabilities less their mean
over the vocabulary: what softmax sees of logits), by the norm of the difference over the norm of
the reference.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
GPU_SHARE = 0.1
"""Several engines share the card; each gets its cache by bytes: none measures the others."""
NAMES = ("quantized", "bf16", "reference")
LINES = re.compile(r"(kernel|Marlin|marlin|attention backend|ATTN|backend|quantiz)", re.IGNORECASE)


def main() -> None:
    """Prints a table; writes proof.json."""
    forge, work, out = (Path(word) for word in sys.argv[1:4])
    pairs = [tuple(map(Path, word.split("=", 1))) for word in sys.argv[4:]]
    proofs = [Proof(folder, env, forge, work, out) for folder, env in pairs]
    for proof in proofs:
        proof.run()
        proof.dequantize()
    with ThreadPoolExecutor(
        len(proofs) * 3
    ) as pool:  # a process for each; the cards' memory is shared
        for waited in [pool.submit(part) for proof in proofs for part in proof.parts()]:
            waited.result()
    for proof in proofs:
        proof.compare()
        proof.show()
    (out / "proof.json").write_text(json.dumps([proof.told for proof in proofs], indent=1))


class Proof:
    """What became of one checkpoint, in `told`; a failure is told, and the next goes on."""

    def __init__(self, folder: Path, env: Path, forge: Path, work: Path, out: Path) -> None:
        self.folder, self.env, self.forge, self.work, self.out = folder, env, forge, work, out
        self.python = env / "bin" / "python"
        config = json.loads((folder / "config.json").read_text())
        self.vocabulary = config["vocab_size"]
        self.longest = config["max_position_embeddings"]
        generator = np.random.default_rng(2026)
        length = min(96, self.longest - 33)
        self.prompts = generator.integers(3, self.vocabulary, (4, length)).tolist()
        self.plain = work / "bf16" / folder.name
        self.model = str(folder)
        self.arguments: dict[str, Any] = {}
        self.environ: dict[str, str] = {}
        self.told: dict[str, Any] = {"name": folder.name}

    def run(self) -> None:
        """The user's own command."""
        ids = ",".join(map(str, self.prompts[0][:16]))
        words = [self.forge, "run", self.folder, "--env", self.env, "--max-tokens", "16"]
        said = run(
            [*words, "--prompt-token-ids", ids, "--json"], self.out / f"{self.folder.name}.run.log"
        )
        if said is None:
            self.told["run"] = "failed"
            return
        document = json.loads(said)
        self.model, self.arguments = document["model"], document["arguments"]
        choices = {name: one["value"] for name, one in document["choices"].items()}
        self.told["choices"] = choices
        self.environ = {name: one for name, one in choices.items() if name.startswith("VLLM_")}
        self.told["run"] = {"arguments": self.arguments, "seconds": document["seconds"]}

    def dequantize(self) -> None:
        self.plain.parent.mkdir(parents=True, exist_ok=True)
        words = [self.forge, "dequantize", self.folder, "--output", self.plain]
        if run(words, self.out / f"{self.folder.name}.dequantize.log") is None:
            self.told["dequantize"] = "failed"

    def parts(self) -> tuple[Callable[[], None], ...]:
        """Processes that need nothing of each other."""
        given = {**self.arguments, "enforce_eager": True, "dtype": "bfloat16"}
        given |= {"gpu_memory_utilization": GPU_SHARE, "kv_cache_memory_bytes": 1 << 30}
        given |= {"skip_tokenizer_init": True, "max_model_len": self.longest}
        plain = {name: value for name, value in given.items() if name != "quantization"}
        return (
            lambda: self.engine("quantized", self.model, given),
            lambda: self.engine("bf16", str(self.plain), plain),
            self.reference,
        )

    def engine(self, name: str, model: str, arguments: dict[str, Any]) -> None:
        result = self.work / f"{self.folder.name}.{name}.npz"
        asked = {"model": model, "arguments": arguments, "prompts": self.prompts, "tokens": 32}
        asked |= {"vocabulary": self.vocabulary, "result": str(result)}
        log = self.out / f"{self.folder.name}.{name}.log"
        answer = run([self.python, HERE / "engine.py", json.dumps(asked)], log, self.environ)
        found = re.search(r"^proof-answer (.*)$", answer or "", re.MULTILINE)
        if found is None:
            self.told[name] = "failed"
            return
        told = json.loads(found[1])
        seconds = {key: round(each, 3) for key, each in told["seconds"].items()}
        self.told[name] = {"seconds": seconds, "tokens": told["tokens"][0][:12]}
        self.told[name]["kernels"] = told["kernels"][:40]
        lines = (re.sub(r"^\(?.*?\] ", "", line) for line in log.read_text().splitlines())
        self.told[name]["lines"] = list(dict.fromkeys(one for one in lines if LINES.search(one)))[
            :14
        ]

    def reference(self) -> None:
        """The BF16 model by transformers, in float32."""
        result = self.work / f"{self.folder.name}.reference.npz"
        words = [
            self.python,
            HERE / "reference.py",
            self.plain,
            json.dumps(self.prompts),
            result,
        ]
        if run(words, self.out / f"{self.folder.name}.reference.log") is None:
            self.told["reference"] = "failed"

    def compare(self) -> None:
        files = {name: self.work / f"{self.folder.name}.{name}.npz" for name in NAMES}
        rows = {
            name: centred(np.load(path)["logprobs"])
            for name, path in files.items()
            if path.exists()
        }
        for a, b in combinations(NAMES, 2):
            if a in rows and b in rows:
                self.told[f"error {a} against {b}"] = round(relative_error(rows[a], rows[b]), 5)
                same = (rows[a].argmax(-1) == rows[b].argmax(-1)).mean()
                self.told[f"same best token {a}, {b}"] = f"{same:.3f} of {len(rows[a])}"

    def show(self) -> None:
        print()
        for name, value in self.told.items():
            if not isinstance(value, dict) or name in {"run", "choices"}:
                print(f"  {name}: {value}")
                continue
            print(f"  {name}: {value['seconds']} {value['tokens']}")
            for kernel, count, micros in value["kernels"][: 14 if name == "quantized" else 6]:
                print(f"    kernel {micros:9.1f} us {count:5}x {kernel[:120]}")
            for line in value["lines"] if name == "quantized" else ():
                print(f"    log: {line[:150]}")


def run(words: list[Any], log: Path, environ: Mapping[str, str] | None = None) -> str | None:
    """Stdout; None for a failure, whose last lines are printed. `environ` is set besides."""
    done = subprocess.run(
        list(map(str, words)),
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
        cwd=log.parent,
        env={**os.environ, **(environ or {})},
    )
    log.write_text(f"{done.stderr}\n{done.stdout}")
    if done.returncode != 0:
        print(f"failed ({done.returncode}): {' '.join(map(str, words))[:160]}")
        print("\n".join(done.stderr.strip().splitlines()[-14:]))
        return None
    return done.stdout


def centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(-1, keepdims=True)


def relative_error(rows: np.ndarray, reference: np.ndarray) -> float:
    """NaN anywhere is an error of infinity."""
    error = float(np.linalg.norm(rows - reference) / np.linalg.norm(reference))
    return error if np.isfinite(error) else float("inf")


if __name__ == "__main__":
    main()
