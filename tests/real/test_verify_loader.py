"""What we say of a shared object, against readelf and against the loader itself."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from vllm_forge.records.binary import Mismatch
from vllm_forge.records.check import CheckStatus
from vllm_forge.run.process import run_command
from vllm_forge.verify.binary import prove_binaries
from vllm_forge.verify.elf import read_defined_versions, read_extension
from vllm_forge.verify.elf_libraries import prove_needed, prove_versions, read_system_libraries
from vllm_forge.verify.symbols import prove_symbols, unresolved_symbols

LIBRARY = """
#include <string>
namespace c10 {
__attribute__((visibility("default"))) void fail(const std::string& why) { (void)why; }
__attribute__((visibility("default"))) int count(COUNTED n) { return static_cast<int>(n); }
}
"""
EXTENSION = """
#include <string>
namespace c10 { void fail(const std::string&); int count(COUNTED); }
extern "C" int PyInit__demo() { c10::fail(std::string("why")); return c10::count(3); }
"""
LOAD = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"


def some_extensions() -> list[Path]:
    """Python's own and its packages' compiled extensions, at most forty."""
    folders = {sysconfig.get_path("platlib"), sysconfig.get_path("platstdlib")}
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.so"))
    return found[:: max(1, len(found) // 40)]


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf (binutils) is not here")
def test_the_same_as_readelf() -> None:
    extensions = some_extensions()
    assert extensions
    for path in extensions:
        extension = read_extension(path)
        said = run_command(["readelf", "-W", "--dynamic", "--dyn-syms", path]).stdout
        assert list(extension.needed) == re.findall(r"\(NEEDED\).*\[(.+)\]", said)
        runpath = re.findall(r"\(RUNPATH\).*\[(.*)\]", said)
        assert list(extension.runpath) == [one for text in runpath for one in text.split(":")]
        undefined = re.findall(
            r"^ +\d+: \S+ +\S+ \S+ +(GLOBAL|WEAK) +\S+ +UND (\S+)", said, re.MULTILINE
        )
        assert [
            (
                "WEAK" if symbol.weak else "GLOBAL",
                symbol.name + (f"@{symbol.version}" if symbol.version else ""),
            )
            for symbol in extension.undefined
        ] == undefined


def test_what_this_system_offers() -> None:
    system = read_system_libraries(run_command)
    assert "libc.so.6" in system
    versions = read_defined_versions(system["libc.so.6"])
    assert {"GLIBC_2.2.5", "GLIBC_2.14"} <= versions
    for path in some_extensions():
        extension = read_extension(path)
        assert prove_versions(extension, system).status is not CheckStatus.FAILED


def compile_shared(
    folder: Path, name: str, source: str, *flags: str, links: tuple[Path, ...] = ()
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "source.cpp").write_text(source)
    output = folder / name
    sources = [str(path) for path in (folder / "source.cpp", *links)]
    command = ["g++", "-shared", "-fPIC", "-O1", *flags, *sources, "-o", str(output)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return output


def loads(extension: Path, library: Path) -> bool:
    """Whether the real loader takes them together."""
    environment = {"LD_LIBRARY_PATH": str(library.parent)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(extension)],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
    )
    assert done.returncode == 0 or "undefined symbol" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.compile
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here")
@pytest.mark.parametrize("ours", [("0", "int"), ("1", "int"), ("1", "long")], ids="/".join)
@pytest.mark.parametrize("theirs", [("0", "int"), ("1", "int")], ids="/".join)
def test_the_loader_agrees(tmp_path: Path, ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    def flags(abi: str, counted: str) -> tuple[str, ...]:
        return f"-D_GLIBCXX_USE_CXX11_ABI={abi}", f"-DCOUNTED={counted}"

    soname = "-Wl,-soname,libc10.so"
    fitting = compile_shared(tmp_path / "one", "libc10.so", LIBRARY, soname, *flags(*ours))
    library = compile_shared(tmp_path / "other", "libc10.so", LIBRARY, soname, *flags(*theirs))
    path = compile_shared(tmp_path, "_demo.abi3.so", EXTENSION, *flags(*ours), links=(fitting,))
    extension = read_extension(path)
    check = prove_symbols(extension, [library], run_command)
    assert (check.status is CheckStatus.PASSED) == loads(path, library) == (ours == theirs)
    told = {one.mismatch for one in unresolved_symbols(extension, [library], run_command)}
    expected = set()
    if ours[0] != theirs[0]:
        expected.add(Mismatch.OTHER_ABI)
        assert f"compiled with _GLIBCXX_USE_CXX11_ABI={ours[0]}" in check.detail
    if ours[1] != theirs[1]:
        expected.add(Mismatch.OTHER_SIGNATURE)
        assert any("c10::count(long): other-signature" in line for line in check.evidence)
    assert told == expected
    assert prove_symbols(extension, [fitting], run_command).status is CheckStatus.PASSED
    assert prove_needed(extension, [library], read_system_libraries(run_command)).status is (
        CheckStatus.PASSED
    )


@pytest.mark.compile
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here")
def test_an_environment_is_proven_extension_by_extension(tmp_path: Path) -> None:
    flags = ("-DCOUNTED=int", "-D_GLIBCXX_USE_CXX11_ABI=1")
    soname = "-Wl,-soname,libc10.so"
    library = compile_shared(tmp_path / "torch" / "lib", "libc10.so", LIBRARY, soname, *flags)
    good = compile_shared(tmp_path / "a", "_C.abi3.so", EXTENSION, *flags, links=(library,))
    other = compile_shared(tmp_path / "other", "libc11.so", LIBRARY, *flags)
    bad = compile_shared(tmp_path / "b", "_moe_C.abi3.so", EXTENSION, *flags, links=(other,))
    checks = prove_binaries([good, bad], tmp_path, ["8.9"], run_command)
    assert {check.name: check.status for check in checks} == {
        "symbols:_C.abi3.so": CheckStatus.PASSED,
        "needed:_C.abi3.so": CheckStatus.PASSED,
        "system:_C.abi3.so": CheckStatus.PASSED,
        "architectures:_C.abi3.so": CheckStatus.SKIPPED,
        "symbols:_moe_C.abi3.so": CheckStatus.PASSED,
        "needed:_moe_C.abi3.so": CheckStatus.FAILED,
        "system:_moe_C.abi3.so": CheckStatus.PASSED,
        "architectures:_moe_C.abi3.so": CheckStatus.SKIPPED,
    }
