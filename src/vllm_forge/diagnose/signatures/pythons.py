"""The interpreter: its headers, its version."""

from vllm_forge.diagnose.advice import install, python_version
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.diagnose.symbols import Owner, read_symbol


def headers_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names
    version = python_version(scene)
    return (
        install(scene, f"python{version}-dev", f"python{version if version != '3' else '3'}-devel"),
        (
            "python -c \"import sysconfig; print(sysconfig.get_paths()['include'])\"   # where"
            " Python.h has"
            " to be; an interpreter that uv or conda installed brings it along"
        ),
    )


def python_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    wanted = names.get("wanted") or names.get("wants") or names.get("listed") or ""
    found = [part.strip(" '\"`<>=!~") for part in wanted.replace(";", ",").split(",")]
    lows = sorted(
        {
            tuple(int(x) for x in part.split(".")[:2])
            for part in found
            if part.replace(".", "").isdigit()
        }
    )
    pick = (
        "3.12"
        if not lows or (3, 12) in lows or (lows[0] <= (3, 12) and lows[-1] > (3, 12))
        else (".".join(map(str, lows[-1])) if ";" in wanted else ".".join(map(str, lows[0])))
    )
    return (f"uv venv --python {pick} && source .venv/bin/activate   # then install again",)


SIGNATURES = (
    Signature(
        "python-headers-missing",
        kinds(Kind.COMPILER, Kind.EXCEPTION),
        pattern(
            r"fatal error:? '?\"?(?:Python|pyconfig|patchlevel)\.h'?\"?:? (?:No such file|file"
            r" not found)"
        ),
        "Python's C headers (Python.h) are not installed for the interpreter that builds.",
        headers_fix,
    ),
    Signature(
        "python-headers-missing",
        kinds(Kind.CMAKE, Kind.FRONTEND),
        pattern(
            r"Could NOT find Python[\d]* \(missing: [^)]*(?:Python\d?_INCLUDE_DIRS?"
            r"|Development)[^)]*\)"
            r"|Could NOT find PythonLibs|Python\.h not found"
        ),
        "CMake finds no development files (Python.h) for the interpreter.",
        lambda names, scene: (
            *headers_fix(names, scene),
            (
                "cmake --version   # older than 3.26 does not know Development.SABIModule and says"
                " the same"
            ),
        ),
    ),
    Signature(
        "python-headers-missing",
        kinds(Kind.CMAKE),
        pattern(r"Unable to find python matching: (?P<python>\S+?)\.?(?=\s|$)"),
        "CMake finds no Python with development files at {python}: Python.h is missing, or this"
        " CMake is"
        " older than 3.26.",
        lambda names, scene: (
            (
                f"{names['python']} -c 'import sysconfig; print(sysconfig.get_paths"
                f'()["include"])\''
                "   # does Python.h lie there?"
            ),
            *headers_fix(names, scene)[:1],
            "pip install 'cmake>=3.26.1'",
        ),
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"Package '(?P<package>[^']+)' requires a different Python: (?P<have>[\d.]+) not in '"
            r"(?P<wanted>[^']+)'"
        ),
        "{package} wants Python {wanted}; this is Python {have}.",
        python_fix,
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"current Python version \((?P<have>[\d.]+)\) does not satisfy Python"
            r"(?P<wanted>[<>=!~\d.,]+?),? and"
        ),
        "What is to be installed wants Python {wanted}; this is Python {have}.",
        python_fix,
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.CMAKE),
        pattern(
            r"Python version \((?P<have>[\d.]+)\) is not one of the supported versions: "
            r"(?P<listed>[\d.;]+\d)"
        ),
        "This vLLM is built for Python {listed}; this is Python {have}.",
        python_fix,
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"Ignored the following versions that require a different python version: [^\n]*?"
            r"Requires-Python (?P<wanted>[<>=!~\d.,*]+)(?:.|\n)*?"
            r"(?:No matching distribution found for|satisfies the requirement) (?P<package>[^\s(]+)"
        ),
        "{package} has no release for this Python: those that fit want Python {wanted}.",
        python_fix,
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"(?P<package>[\w.-]+)(?:==\S+)? has no wheels with a matching Python (?:ABI|version"
            r"|implementation)"
            r" tag \(e\.g\., [`'](?P<tag>cp\d+)"
        ),
        "{package} has no wheel for this Python ({tag}).",
        python_fix,
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Cannot install on Python version (?P<have>[\d.]+); only versions (?P<wanted>\S+) are"
            r" supported|Python version >= (?P<least>[\d.]+) required"
        ),
        "What is built wants Python {wanted}{least} or newer; this is Python {have}.",
        lambda names, scene: python_fix({"wanted": names["wanted"] or names["least"]}, scene),
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"Distribution `(?P<package>[\w.-]+==[\w.+-]+)[^`]*` can't be installed because it"
            r" doesn't have a source distribution or wheel for the current platform"
            r"(?:(?:.|\n)*?You're using \w+ (?P<have>[\d.]+))?"
            r"|(?P<wheel>\S+\.whl) is not a supported wheel on this platform"
        ),
        "{package}{wheel} is not made for this Python {have} or platform.",
        acts(
            "python -VV; uname -m; ldd --version | head -1   # compare with the tags of the wheel",
            "Install with the Python that its tag names (cp312 is 3.12).",
        ),
        unless=pattern(r"only has wheels for the following platform"),
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.FRONTEND),
        pattern(
            r"satisfies the requirement (?P<package>(?:torch|torchvision|torchaudio|triton"
            r"|xformers)\b[^\s(]*)"
            r" \(from versions: (?P<offered>[^)]*)\)"
        ),
        "The index offers no {package} for this Python and platform (it offers: {offered}).",
        acts(
            "python -VV; uname -m   # each torch release has wheels for a few Python versions only",
            "uv venv --python 3.12 && source .venv/bin/activate   # or the Python that this"
            " release names",
        ),
        yields_to=frozenset({"network-unreachable"}),
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"unsupported operand type\(s\) for \|: '(?:type|_\w+|ABCMeta)' and '(?:type|NoneType"
            r"|_\w+)'"
        ),
        "The source is written for Python 3.10 or newer (X | None in annotations); this Python is"
        " older.",
        python_fix,
        also=pattern(r"vllm|transformers"),
    ),
    Signature(
        "python-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(r"(?P<library>/[^\s:']+\.so[\w.]*): undefined symbol: (?P<symbol>\w+)"),
        "{library} was compiled for another Python: {symbol} belongs to the interpreter.",
        acts(
            "python -V; ls -d $(dirname {library})   # the Python in the path and the one that"
            " runs",
            "Install that package again with this interpreter: python -m pip install"
            " --force-reinstall ...",
        ),
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.PYTHON,
    ),
)
