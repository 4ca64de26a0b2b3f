"""One build's way into the store: look before CMake, look again after it, restore."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vllm_forge.records.problem import Problem
from vllm_forge.run.store.digests import Digests
from vllm_forge.run.store.graph import Ninja
from vllm_forge.run.store.keys import shallow_key
from vllm_forge.run.store.setting import Setting
from vllm_forge.run.store.store import Found, Store


@dataclass(frozen=True, slots=True)
class Restored:
    """Extensions that came from the store: target → file; `seconds` of CPU time not spent.

    `read` are the files they were made from, as they lie here.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    seconds: float = 0.0
    read: frozenset[str] = frozenset()

    def joined(self, other: "Restored") -> "Restored":
        return Restored(
            {**self.files, **other.files}, self.seconds + other.seconds, self.read | other.read
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """`modules`: each planned target → the module it is installed as (`vllm._C`)."""

    store: Store
    setting: Setting
    modules: Mapping[str, str]
    ninja: Ninja

    @property
    def digests(self) -> Digests:
        return self.store.digests

    def look(self) -> dict[str, Found]:
        """Before CMake: target → entry, for those whose every input is as it was then."""
        facts = self.setting.before_cmake
        return self._look({name: self.key(name, facts) for name in self.modules})

    def look_again(self, targets: Iterable[str]) -> dict[str, Found]:
        """In a configured build folder, for those not found before: by their commands."""
        keys = {}
        with suppress(Problem):
            for name in targets:
                facts = self.setting.after_cmake(self.ninja.target(name))
                keys[name] = self.key(name, facts)
        return self._look(keys)

    def restore(self, found: Mapping[str, Found]) -> Restored:
        """Into the packages; what turns out to be damaged or gone is left out."""
        files: dict[str, Path] = {}
        seconds = 0.0
        read = set[str]()
        roots = self.setting.roots
        for name, one in found.items():
            place = self.store.restore(one, self.package(name), roots)
            if place is not None:
                files[name] = place
                seconds += one.entry.seconds
                read |= {str(roots.join(*pair)) for pair in one.reads.files if roots.has(pair[0])}
        return Restored(files, seconds, frozenset(read))

    def package(self, target: str) -> Path:
        """The folder its extension is installed in."""
        return Path(self.setting.configure.source, *self.modules[target].split(".")[:-1])

    def key(self, target: str, facts: Mapping[str, object]) -> str:
        return shallow_key(target, self.modules[target], facts)

    def _look(self, keys: Mapping[str, str]) -> dict[str, Found]:
        roots = self.setting.roots
        found = {name: self.store.find(key, roots) for name, key in keys.items()}
        self.digests.keep()
        return {name: one for name, one in found.items() if one is not None}
