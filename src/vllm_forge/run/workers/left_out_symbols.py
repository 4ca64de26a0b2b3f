"""Run before an extension is linked: define what its objects still take from left-out files.

Runs under the built environment's Python with nothing but the standard library. Every undefined
C++ function that no library exports, and whose name stands in one of the left-out files, gets a
body that throws. Anything else stays undefined, as in an ordinary build. Data cannot be stood in
for: that ends the build and names it.

    left_out_symbols.py REQUEST.json
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

DATA = ("_ZTV", "_ZTI", "_ZTS", "_ZTT", "_ZGV")
RUNTIME = r"operator (?:new|delete)\b|(?:\w+ )?(?:std|__gnu_cxx|__cxxabiv1)::"
"""Names of the C++ library itself: they are never a left-out file's own, whoever says "new"."""
HEAD = """\
#include <stdexcept>
#include <string>
namespace {
[[noreturn]] void refuse(const char* what) {
  throw std::runtime_error((std::string(what) + %s).c_str());
}
}
"""
BODY = """\
extern "C" __attribute__((noreturn, visibility("hidden"))) void vllm_forge_left_out_%d()
    __asm__("%s");
extern "C" void vllm_forge_left_out_%d() { refuse(%s); }
"""


def names(nm: str, files: list[str], *options: str) -> set[str]:
    """Symbols as nm lists them, without versions."""
    listing = Path(f"{files[0]}.forge-list") if len(files) > 1 else None
    if listing is not None:
        listing.write_text("\n".join(f'"{file}"' for file in files))
    said = subprocess.run(
        [nm, "--format=posix", *options, *([f"@{listing}"] if listing else files)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if listing is not None:
        listing.unlink()
    return {line.split()[0].partition("@")[0] for line in said.splitlines() if " " in line}


def torch_libraries() -> list[str]:
    """Torch's own libraries, found without importing torch."""
    found = find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return []
    folder = Path(found.submodule_search_locations[0]) / "lib"
    return sorted(str(file) for file in folder.glob("lib*.so*"))


def runtime_symbols(nm: str, compiler: str) -> set[str]:
    """What the C++ library defines that this compiler links, shared or (some builds of g++ have
    nothing else) static.
    """  # noqa: D205 -- one sentence
    for name, options in (("libstdc++.so", ["--dynamic"]), ("libstdc++.a", [])):
        said = subprocess.run(
            [compiler, f"-print-file-name={name}"], check=False, capture_output=True, text=True
        ).stdout.strip()
        if Path(said).is_file():
            return names(nm, [said], *options, "--defined-only")
    return set()


def main(request: dict[str, object]) -> int:
    nm, out = str(request["nm"]), Path(str(request["out"]))
    objects = Path(str(request["objects"])).read_text().split("\n")
    objects = [line for line in objects if line]
    undefined = names(nm, objects, "--undefined-only")
    undefined -= names(nm, objects, "--defined-only", "--extern-only")
    undefined = {name for name in undefined if name.startswith("_Z")}
    undefined -= runtime_symbols(nm, str(request["compiler"]))
    for library in torch_libraries():
        undefined -= names(nm, [library], "--dynamic", "--defined-only")
    words: set[str] = set()
    for file in request["left_out"]:  # type: ignore[attr-defined]
        if Path(file).is_file():
            words |= set(re.findall(r"\w+", Path(file).read_text(errors="replace")))
    mangled = sorted(undefined)
    readable = subprocess.run(
        [str(request["filt"])],
        input="\n".join(mangled),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    source = [HEAD % json.dumps(f" {request['message']}")]
    stood_in = []
    for number, (name, said) in enumerate(zip(mangled, readable, strict=False)):
        thing = re.sub(r"^.*? for ", "", said)  # "typeinfo for std::runtime_error"
        last = re.findall(r"\w+", re.split(r"[(<]", thing, maxsplit=1)[0])[-1:]
        if not last or last[0] not in words or re.match(RUNTIME, thing):
            continue
        if name.startswith(DATA) or "(" not in said:
            sys.stderr.write(
                f"vllm-forge: {said} is data of a file that --specialize leaves out; "
                "build without --specialize\n"
            )
            return 1
        stood_in.append(said)
        source.append(BODY % (number, name, number, json.dumps(said)))
    text = out.with_suffix(".cpp")
    text.write_text("".join(source))
    out.with_suffix(".txt").write_text("".join(f"{said}\n" for said in stood_in))
    compiled = subprocess.run(
        [str(request["compiler"]), "-std=c++17", "-O1", "-fPIC", "-c", str(text), "-o", str(out)],
        check=False,
    )
    return compiled.returncode


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
