"""What Python can come to from vLLM's entry points, down to the operators it calls.

Reached is: what is named in code that is reached. A class counts when it is named for anything but
a type annotation or `isinstance`, and then with all its methods; what stands behind `isinstance`
waits until its class counts. A dotted string that names something of the package counts as its
name. Dynamic ways that leave no name (a module path put together at run time) are followed into the
whole package they begin with, except for the two registries whose key is known: the model's
architecture and the quantization method.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from vllm_forge.release.reaching.python_module import PythonModule, as_statement
from vllm_forge.release.reaching.python_names import PACKAGE, Definition, Names
from vllm_forge.release.reaching.python_tests import Guards, Known

ANY: Final = "*"
"""An operator's name that is only known at run time."""


class Key(NamedTuple):
    """Something that wakes up when its name is used: an operator, or a class attribute."""

    space: str
    name: str


ATTRIBUTE: Final = ".attribute"
"""The space of `Class.NAME = value`."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the walk does not go, because the checkpoint and the device decide.

    `silent` are modules whose strings lead nowhere by themselves; `not_made` are definitions that
    `chooser` picks from by a key, without the one that will be picked. `other_platforms` are
    beginnings of dotted strings.
    """

    silent: frozenset[str]
    chooser: Definition | None
    not_made: frozenset[str]
    other_platforms: tuple[str, ...]


Visit = Callable[["Walk", PythonModule, Definition | None, ast.stmt], None]
"""Goes through a statement of a definition, or (None) one that runs at import."""


@dataclass(slots=True)
class Walk:
    """`reached`, `imported` and `used` map to the place that led there."""

    names: Names
    known: Known
    cuts: Cuts
    visit: Visit
    reached: dict[Definition, str] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    used: dict[Key, str] = field(default_factory=dict)
    _queue: list[Callable[[], None]] = field(default_factory=list)
    _waiting: list[tuple[Guards, Callable[[], None]]] = field(default_factory=list)
    _asleep: dict[Key, list[Callable[[], None]]] = field(default_factory=dict)

    def import_module(self, name: str, why: str) -> None:
        """Its parents first; what it runs at import is reached."""
        if name in self.imported or name.partition(".")[0] != PACKAGE:
            return
        self.imported[name] = why
        if "." in name:
            self.import_module(name.rpartition(".")[0], why)
        module = self.names.module(name)
        if module is None:
            return
        for attribute, value in module.attributes:
            later = as_statement(value)
            self.sleep(Key(ATTRIBUTE, attribute), partial(self.visit, self, module, None, later))
        self._queue += [
            partial(self.visit, self, module, None, statement) for statement in module.eager
        ]

    def reach(self, definition: Definition, why: str) -> None:
        if definition in self.reached:
            return
        self.reached[definition] = why
        self.import_module(definition.module, why)
        module = self.names.module(definition.module)
        if module is None:
            return
        self._queue += [
            partial(self.visit, self, module, definition, statement)
            for statement in module.definitions[definition.name]
        ]

    def reach_module(self, name: str, why: str) -> None:
        """Everything it defines."""
        self.import_module(name, why)
        module = self.names.module(name)
        for defined in tuple(module.definitions) if module else ():
            self.reach(Definition(name, defined), why)

    def use(self, key: Key, why: str) -> None:
        self.used.setdefault(key, why)

    def sleep(self, key: Key, act: Callable[[], None]) -> None:
        """Do it once that name is used."""
        self._asleep.setdefault(key, []).append(act)

    def when(self, guards: Guards, act: Callable[[], None]) -> None:
        """Do it once of each set something is reached."""
        if self._holds(guards):
            act()
        else:
            self._waiting.append((guards, act))

    def run(self) -> None:
        """Until nothing more comes in reach."""
        while True:
            while self._queue:
                self._queue.pop()()
            waiting, self._waiting = self._waiting, []
            for guards, act in waiting:
                self.when(guards, act)
            awake = [
                key for key in self._asleep if key in self.used or Key(key.space, ANY) in self.used
            ]
            for key in awake:
                for act in self._asleep.pop(key):
                    act()
            if not awake and not self._queue and len(self._waiting) == len(waiting):
                return

    def _holds(self, guards: Guards) -> bool:
        return all(any(one in self.reached for one in guard) for guard in guards)
