"""Which Debian mirror this machine uses: apt's own source files, in both of their forms.

sources.list(5): one line a source (`deb [options] URI suite component…`), or deb822 stanzas.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LINE: Final = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)")
SUITES: Final = frozenset(
    {
        *("bullseye", "bookworm", "trixie", "forky", "sid"),
        *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
    }
)


@dataclass(frozen=True, slots=True)
class AptSource:
    """One binary source: where it is, which suites and components of it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    origin: str


def parse_source_lines(text: str, origin: str) -> Iterator[AptSource]:
    r"""The one-line form.

    >>> next(parse_source_lines("# a\ndeb [arch=amd64] http://m/debian trixie main\n", "f")).uri
    'http://m/debian'
    """
    for line in text.splitlines():
        match = LINE.match(line.strip())
        if match:
            yield AptSource(match[1], (match[2],), tuple(match[3].split("#")[0].split()), origin)


def parse_source_stanzas(text: str, origin: str) -> Iterator[AptSource]:
    r"""The deb822 form.

    >>> stanza = "Types: deb deb-src\n# why\nURIs: http://m/debian\nSuites: trixie\n"
    >>> [source.suites for source in parse_source_stanzas(stanza, "f")]
    [('trixie',)]
    """
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "") == "no":
            continue
        for uri in fields.get("uris", "").split():
            suites = tuple(fields.get("suites", "").split())
            yield AptSource(uri, suites, tuple(fields.get("components", "").split()), origin)


def read_sources(root: Path = Path("/")) -> tuple[AptSource, ...]:
    """Every source apt reads, in its order; unreadable files are as good as none."""
    folder = root / "etc" / "apt"
    found: list[AptSource] = []
    for file in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if file.suffix == ".sources":
            found += parse_source_stanzas(text, str(file))
        elif file.suffix == ".list":
            found += parse_source_lines(text, str(file))
    return tuple(found)


def choose_mirror(sources: tuple[AptSource, ...]) -> AptSource | None:
    """A source of Debian's main archive, which carries every suite; None where there is none.

    Security and backports have suites of other names; a project of its own may use Debian's suite
    names, so a place that is called debian comes first.
    """
    archives = [
        source
        for source in sources
        if "main" in source.components and SUITES.intersection(source.suites)
    ]
    named = [source for source in archives if re.search(r"/debian(\.list)?/?$", source.uri)]
    return next(iter(named or archives), None)
