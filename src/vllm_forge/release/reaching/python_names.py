"""What a name in one file of the package stands for, followed through imports."""

from typing import Final, NamedTuple

from vllm_forge.release.reaching.python_module import Bindings, Imported, PythonModule, parse_module
from vllm_forge.release.source_tree import SourceTree

PACKAGE: Final = "vllm"
LAZY: Final = "__getattr__"


class Definition(NamedTuple):
    """A class, function or variable of the package."""

    module: str
    name: str


Found = Definition | str
"""A definition, or the dotted name of a module."""


class Names:
    """Modules of a tree's package, parsed when they are first asked for."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._modules: dict[str, PythonModule | None] = {}

    def module(self, name: str) -> PythonModule | None:
        """None for what is not a module of the package."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> PythonModule | None:
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            return None
        stem = name.replace(".", "/")
        for path, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            parsed = self._tree.module(path)
            if parsed is not None:
                return parse_module(name, path, parsed, is_package=is_package)
        return None

    def resolve(
        self, module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> frozenset[Found]:
        """Definitions, names of modules (torch's too); empty for what is neither."""
        here = self.module(module)
        if here is None or (module, name) in seen:
            return frozenset()
        seen |= {(module, name)}
        found: set[Found] = {Definition(module, name)} if name in here.definitions else set()
        for imported in here.imports.get(name, ()):
            found |= self.follow(imported, seen)
        if not found and here.is_package and self.module(f"{module}.{name}") is not None:
            found = {f"{module}.{name}"}
        for star in () if found else here.stars:
            found |= self.resolve(star, name, seen)
        if not found and LAZY in here.definitions:
            found = {Definition(module, LAZY)}
        return frozenset(found)

    def follow(
        self, imported: Imported, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> frozenset[Found]:
        module, name = imported
        if name is None:
            return frozenset({module})
        if self.module(module) is None:
            of_torch = module.partition(".")[0] == "torch"
            return frozenset({f"{module}.{name}"} if of_torch else ())
        return self.resolve(module, name, seen)

    def inside(self, package: str) -> list[str]:
        """Every module of a package, at any depth."""
        folder = package.replace(".", "/")
        return [
            path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for path in self._tree.files(f"{folder}/**/*.py")
        ]

    def chain(self, module: str, parts: tuple[str, ...], local: Bindings) -> frozenset[Found]:
        """What `a.b.c` begins with: definitions, or `a.b.c` where it stays among modules.

        `local` are imports of the function around it, which hide the module's.
        """
        bound = local.get(parts[0])
        found = (
            frozenset().union(*(self.follow(one) for one in bound))
            if bound
            else self.resolve(module, parts[0])
        )
        for part in parts[1:]:
            found = frozenset(each for one in found for each in self._member(one, part))
        return found

    def _member(self, found: Found, name: str) -> frozenset[Found]:
        """An attribute of a module; a definition stays what it is, whatever is taken of it."""
        if isinstance(found, Definition):
            return frozenset({found})
        if found.partition(".")[0] != PACKAGE:
            return frozenset({f"{found}.{name}"})
        return self.resolve(found, name)
