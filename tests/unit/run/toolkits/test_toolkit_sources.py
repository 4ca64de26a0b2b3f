"""What providers read: apt's sources, NVIDIA's manifests, conda's solutions, cuda.h."""

import json
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.toolkits.conda import parse_solution
from vllm_forge.run.toolkits.debian import parse_printed_uris
from vllm_forge.run.toolkits.debian_sources import choose_mirror, read_sources
from vllm_forge.run.toolkits.driver_stub import parse_driver_functions
from vllm_forge.run.toolkits.pypi import parse_pins
from vllm_forge.run.toolkits.redist import choose_release, parse_manifest


def apt(root: Path, **files: str) -> Path:
    folder = root / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return root


def test_the_mirror_is_the_distributions_own_archive(tmp_path: Path) -> None:
    root = apt(
        tmp_path,
        a_list="deb [signed-by=/k.asc] https://x/torproject.org bookworm main\n",
        b_list="# deb http://old/debian bookworm main\ndeb https://x/node nodistro main\n",
        c_sources=(
            "Types: deb\nURIs: http://m/debian-security\nSuites: bookworm-security\n"
            "Components: main\n\n"
            "Types: deb deb-src\nURIs: http://m/debian/\nSuites: bookworm bookworm-updates\n"
            "# a comment\nComponents:\n main\n contrib\n"
        ),
    )

    mirror = choose_mirror(read_sources(root))

    assert mirror is not None
    assert (mirror.uri, mirror.components) == ("http://m/debian/", ("main", "contrib"))
    assert mirror.origin.endswith("c.sources")


def test_a_disabled_source_and_ubuntus_are_no_debian_mirror(tmp_path: Path) -> None:
    root = apt(
        tmp_path,
        a_sources=(
            "Types: deb\nURIs: http://m/debian\nSuites: trixie\nComponents: main\nEnabled: no\n"
        ),
        b_list="deb http://m/ubuntu noble main universe\n",
    )

    assert choose_mirror(read_sources(root)) is None


def test_apts_answer() -> None:
    said = f"'http://m/libcu%2b%2b.deb' libcu++-dev_2_all.deb 765284 SHA256:{'a' * 64}\nnoise\n"

    (file,) = parse_printed_uris(said)

    assert (file.name, file.size, file.sha256) == ("libcu++-dev_2_all.deb", 765284, "a" * 64)


def manifest(**components: object) -> bytes:
    return json.dumps({"release_label": "12.4.1", **components}).encode()


def component(name: str, path: str | None = None) -> dict[str, object]:
    file = {"relative_path": path or f"{name}/a.tar.xz", "sha256": "0" * 64, "size": "12"}
    return {"version": "12.4.131", "linux-x86_64": file}


def test_a_manifest_gives_the_needed_archives() -> None:
    text = manifest(
        cuda_nvcc=component("cuda_nvcc"),
        cuda_cudart=component("cuda_cudart"),
        cuda_cccl=component("cuda_cccl"),
        libnpp=component("libnpp"),
    )

    nvcc, archives = parse_manifest(text, "linux-x86_64", "http://m/redist", "redistrib.json")

    assert nvcc == "12.4.131"
    assert [(each.url, each.size) for each in archives] == [
        ("http://m/redist/cuda_nvcc/a.tar.xz", 12),
        ("http://m/redist/cuda_cudart/a.tar.xz", 12),
        ("http://m/redist/cuda_cccl/a.tar.xz", 12),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "redistrib.json: "),
        (b"[]", "redistrib.json: "),
        (manifest(cuda_nvcc=component("cuda_nvcc")), "no cuda_cccl, cuda_cudart"),
        (manifest(cuda_nvcc=component("a", "../../b.tar.xz")), "lies at ../../b"),
        (manifest(cuda_nvcc={"linux-x86_64": {"sha256": 1}}), "redistrib.json: "),
        (
            manifest(
                **{
                    name: {"linux-x86_64": component(name)["linux-x86_64"]}
                    for name in ("cuda_nvcc", "cuda_cudart", "cuda_cccl")
                }
            ),
            "redistrib.json: 'version'",
        ),
    ],
)
def test_a_bad_manifest_is_named(text: bytes, said: str) -> None:
    with pytest.raises(Problem, match=said) as caught:
        parse_manifest(text, "linux-x86_64", "http://m", "redistrib.json")
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_releases_sort_by_number() -> None:
    listing = "redistrib_12.9.0.json redistrib_12.10.1.json redistrib_13.0.2.json"

    assert choose_release(listing, "12") == "12.10.1"
    assert choose_release(listing, "13.0.88") == "13.0.2"


def test_pins_of_the_metapackage_are_those_of_the_needed_wheels() -> None:
    metadata = (
        b"Name: cuda-toolkit\n"
        b"Requires-Dist: nvidia-cuda-nvcc==13.0.88.*; sys_platform == 'linux' and extra == 'all'\n"
        b"Requires-Dist: nvidia-cuda-nvcc==13.0.88.*; sys_platform == 'linux' and extra == 'nvcc'\n"
        b"Requires-Dist: nvidia-cublas==13.1.*; (sys_platform == 'win32') and extra == 'all'\n"
        b"Requires-Dist: nvidia-npp==13.0.1.2.*; (sys_platform == 'linux') and extra == 'all'\n"
    )

    (pin,) = parse_pins(metadata)

    assert (pin.name, str(pin.specifier)) == ("nvidia-cuda-nvcc", "==13.0.88.*")


def test_a_conda_solution_gives_packages_and_hashes() -> None:
    said = "banner\n" + json.dumps(
        {
            "success": True,
            "actions": {
                "LINK": [
                    {
                        "name": "cuda-nvcc-tools",
                        "version": "12.4.131",
                        "url": "https://c/linux-64/cuda-nvcc-tools-12.4.131-0.conda",
                        "sha256": "b" * 64,
                        "size": 22,
                    }
                ]
            },
        }
    )

    nvcc, (archive,) = parse_solution(said, "micromamba")

    assert nvcc == "12.4.131"
    assert (archive.name, archive.size) == ("cuda-nvcc-tools-12.4.131-0.conda", 22)


@pytest.mark.parametrize("said", ["", "{", '{"actions": {"LINK": []}}'])
def test_a_conda_answer_without_nvcc_is_bad_input(said: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_solution(said, "conda")
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_the_drivers_functions_are_those_a_program_can_ask_for() -> None:
    header = """
    #define cuMemAlloc                          cuMemAlloc_v2
    #define cuMemcpyHtoD                        __CUDA_API_PTDS(cuMemcpyHtoD_v2)
    #define cuLaunchKernel                      __CUDA_API_PTSZ(cuLaunchKernel)
    __CUDA_DEPRECATED CUresult CUDAAPI cuCtxAttach(CUcontext *pctx, unsigned int flags);
    CUresult CUDAAPI cuInit(unsigned int Flags);
    typedef CUresult (CUDAAPI *PFN_cuInit)(unsigned int);
    """

    assert parse_driver_functions(header) == (
        "cuCtxAttach",
        "cuInit",
        "cuLaunchKernel",
        "cuLaunchKernel_ptsz",
        "cuMemAlloc_v2",
        "cuMemcpyHtoD_v2",
        "cuMemcpyHtoD_v2_ptds",
    )
