"""Fat binaries of the nvcc that is here, against the options it was given."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vllm_forge.records.binary import CodeKind
from vllm_forge.records.check import CheckStatus
from vllm_forge.verify.architectures import prove_architectures
from vllm_forge.verify.fatbin import read_gpu_code

SOURCE = Path(__file__).parents[1] / "data" / "fatbin" / "kernels.cu"

pytestmark = [
    pytest.mark.compile,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not here"),
]


def targets_of_nvcc() -> set[str]:
    """`80`, `90a`, … that this nvcc can compile for."""
    said = subprocess.run(["nvcc", "--help"], capture_output=True, check=True, text=True).stdout
    return set(re.findall(r"'sm_(\d+[af]?)'", said))


@pytest.mark.parametrize("option", ["-fatbin", "-c"])
def test_what_was_asked_for_is_found(tmp_path: Path, option: str) -> None:
    known = targets_of_nvcc()
    asked = [one for one in ["80", "89", "90a", "100f", "120a"] if one in known]
    assert {"80", "89", "90a"} <= set(asked)
    output = tmp_path / ("kernels.fatbin" if option == "-fatbin" else "kernels.o")
    generate = [f"-gencode=arch=compute_{one},code=[sm_{one},compute_{one}]" for one in asked]
    done = subprocess.run(
        ["nvcc", option, *generate, SOURCE, "-o", output],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    codes = read_gpu_code(output, kernels=True)
    assert sorted((code.kind, code.architecture) for code in codes) == sorted(
        (kind, one) for one in asked for kind in (CodeKind.ELF, CodeKind.PTX)
    )
    named = {code.kernels for code in codes if code.kind is CodeKind.ELF} - {None}
    assert named <= {("_Z3addILi3EEvPf", "scale")}, json.dumps(sorted(map(str, named)))
    wanted = ["8.9", "9.0a", "8.0+PTX"]
    assert prove_architectures("kernels", codes, wanted).status is CheckStatus.PASSED
    assert prove_architectures("kernels", codes, ["7.5"]).status is CheckStatus.FAILED
