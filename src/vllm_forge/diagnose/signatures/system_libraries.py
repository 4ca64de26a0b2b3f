"""The system's libraries: glibc, libstdc++, libnuma."""

from vllm_forge.diagnose.advice import install
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.diagnose.signatures.loading import EXTENSION_GONE, LOADED
from vllm_forge.diagnose.symbols import Owner, read_symbol

GCC_OF_GLIBCXX = {
    "GLIBCXX_3.4.26": "9",
    "GLIBCXX_3.4.27": "9",
    "GLIBCXX_3.4.28": "9.3",
    "GLIBCXX_3.4.29": "11",
    "GLIBCXX_3.4.30": "12",
    "GLIBCXX_3.4.31": "13",
    "GLIBCXX_3.4.32": "13.2",
    "GLIBCXX_3.4.33": "14",
    "GLIBCXX_3.4.34": "15",
    "CXXABI_1.3.12": "9",
    "CXXABI_1.3.13": "11",
    "CXXABI_1.3.14": "13",
    "CXXABI_1.3.15": "14",
    "CXXABI_1.3.16": "15",
}
"""The first GCC whose libstdc++ has a version node: GCC's ABI policy page."""


def glibcxx_cause(names: Names, scene: Scene) -> str:
    del scene
    gcc = GCC_OF_GLIBCXX.get(names["version"])
    since = f" (GCC {gcc} and newer have it)" if gcc else ""
    library = names["library"].rsplit("/", 1)[-1]
    wanting = f"{library} wants" if library else "What is loaded wants"
    return (
        f"{wanting} {names['version']}{since}; the libstdc++ that is found first,"
        f" {names['path']}, is older."
    )


def glibcxx_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    gcc = GCC_OF_GLIBCXX.get(names["version"], "")
    look = (
        f"strings {names['path']} | grep -E 'GLIBCXX_3|CXXABI_1' | sort -V | tail -2   # what it"
        f" offers"
    )
    older = f"a GCC older than {gcc}" if gcc else "this system's own GCC"
    where = (
        "$CONDA_PREFIX/lib"
        if scene.clues.conda or "conda" in names["library"]
        else "/folder/of/a/newer/one"
    )
    return (
        (
            f"export LD_LIBRARY_PATH={where}:$LD_LIBRARY_PATH   # a newer libstdc++ first (conda's"
            " lib folder has one)"
        ),
        f"or build what wants it with {older}.",
        look,
    )


def glibc_cause(names: Names, scene: Scene) -> str:
    library = names["library"].rsplit("/", 1)[-1] or "What is loaded"
    have = f" {scene.machine.glibc}" if scene.machine.glibc else ""
    return (
        f"{library} was built on a system with glibc {names['version']} or newer; this system's"
        f" glibc{have} is older."
    )


def glibc_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    return (
        "ldd --version | head -1   # this system's glibc; it cannot be replaced in place",
        "Build from source on this system (its own glibc is then what is asked for),",
        f"or run in a container whose glibc is {names['version']} or newer.",
    )


SIGNATURES = (
    Signature(
        "glibcxx-too-old",
        LOADED,
        pattern(r"(?P<library>/[^\s:']+\.so[\w.]*): undefined symbol: (?P<symbol>\w+)"),
        "{library} wants a part of libstdc++ that the one loaded first does not have: it is older.",
        acts(
            "ldd {library} | grep libstdc++   # which one is found",
            "Put a newer libstdc++.so.6 first (LD_LIBRARY_PATH), or build with this system's own"
            " GCC.",
        ),
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.LIBSTDCXX,
    ),
    Signature(
        "libnuma-missing",
        LOADED,
        pattern(r"libnuma\.so[.\d]*: cannot open shared object file"),
        "libnuma is not installed: vLLM's CPU extension is linked with it.",
        lambda _, scene: (install(scene, "libnuma1", "numactl-libs"),),
    ),
    Signature(
        "libnuma-missing",
        kinds(Kind.LOGGED, Kind.PLAIN),
        pattern(r"libnuma\.so[.\d]*: cannot open shared object file"),
        "libnuma is not installed: vLLM's CPU extension is linked with it.",
        lambda _, scene: (install(scene, "libnuma1", "numactl-libs"),),
        before=EXTENSION_GONE,
    ),
    Signature(
        "libnuma-missing",
        kinds(Kind.COMPILER, Kind.LINKER),
        pattern(r"numa(?:if)?\.h: No such file or directory|cannot find -lnuma\b"),
        "libnuma's development files are missing: vLLM's CPU target includes numa.h and links"
        " libnuma.",
        lambda _, scene: (install(scene, "libnuma-dev", "numactl-devel"),),
    ),
    Signature(
        "glibcxx-too-old",
        LOADED,
        pattern(
            r"(?P<path>[^\s(\"']*lib(?:stdc\+\+|gcc_s)\.so[.\d]*): version [`'](?P<version>"
            r"(?:GLIBCXX|CXXABI|GCC)_[\d.]+)'"
            r" not found(?: \(required by (?P<library>[^)]+)\))?"
        ),
        glibcxx_cause,
        glibcxx_fix,
    ),
    Signature(
        "glibcxx-too-old",
        kinds(Kind.LOGGED, Kind.PLAIN),
        pattern(
            r"(?P<path>[^\s(\"']*libstdc\+\+\.so[.\d]*): version [`'](?P<version>(?:GLIBCXX"
            r"|CXXABI)_[\d.]+)'"
            r" not found(?: \(required by (?P<library>[^)]+)\))?"
        ),
        glibcxx_cause,
        glibcxx_fix,
        before=EXTENSION_GONE,
    ),
    Signature(
        "glibc-too-old",
        kinds(Kind.COMPILER),
        pattern(r"'gettid' was not declared|\u2018gettid\u2019 was not declared"),
        "This system's glibc is older than 2.30, which brought gettid(); the source calls it.",
        lambda _, scene: glibc_fix({"version": "2.30", "library": ""}, scene)[::2],
    ),
    Signature(
        "glibc-too-old",
        LOADED,
        pattern(
            r"version [`']GLIBC_(?P<version>[\d.]+)' not found(?: \(required by "
            r"(?P<library>[^)]+)\))?"
        ),
        glibc_cause,
        glibc_fix,
    ),
    Signature(
        "glibc-too-old",
        kinds(Kind.LOGGED, Kind.PLAIN),
        pattern(
            r"version [`']GLIBC_(?P<version>[\d.]+)' not found(?: \(required by "
            r"(?P<library>[^)]+)\))?"
        ),
        glibc_cause,
        glibc_fix,
        before=EXTENSION_GONE,
    ),
    Signature(
        "glibc-too-old",
        kinds(Kind.FRONTEND),
        pattern(
            r"manylinux_2_(?P<have>\d+)_\w+[`']?\)(?:.|\n)*?(?:platforms?|tags?): "
            r"(?:(?:.|\n)*?)[`']?manylinux_2_(?P<minor>\d+)_"
        ),
        "This system has glibc 2.{have}; the wheels are made for glibc 2.{minor} and newer.",
        lambda names, scene: glibc_fix({"version": f"2.{names['minor']}", "library": ""}, scene),
        accept=lambda names: int(names["have"]) < int(names["minor"]),
    ),
)
