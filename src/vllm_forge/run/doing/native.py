"""Steps that compile: CMake's configure, and ninja under the scheduler; or neither."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

from vllm_forge.records.event import StepProgress
from vllm_forge.records.plan import Compile, Configure, Environment, Specialize
from vllm_forge.run.caches import CacheWish, Compilers, caching
from vllm_forge.run.compile import Compiled, Hearers, Kept, Manner, compile_targets
from vllm_forge.run.doing.bring import PROJECT
from vllm_forge.run.doing.shelving import (
    is_configured,
    open_shelf,
    run_cmake,
    whole_configure,
)
from vllm_forge.run.doing.site import Done, Site, action_of
from vllm_forge.run.doing.watching import Seen, watching_ninja, write_cmake_inputs
from vllm_forge.run.ninja import Progress
from vllm_forge.run.receipts import made
from vllm_forge.run.scheduler import RECORD, Snapshot
from vllm_forge.run.specialize import write_specialization
from vllm_forge.run.store.keeping import (
    finish_extension,
    keep,
    ledger_of,
    restore_by_commands,
)
from vllm_forge.run.store.shelf import Restored, Shelf
from vllm_forge.run.toolchain import is_gnu

GIB = 1 << 30
STORED = "from_store"
"""The fact of a receipt that names the extensions nobody had to make."""


def make_native(action: Specialize | Configure | Compile, site: Site) -> Done:
    match action:
        case Specialize():
            written = write_specialization(action)
            return Done(action.folder, tuple(made(path, hashed=True) for path in written))
        case Configure():
            return _configure(site)
        case Compile():
            return _compile(action, site)


def _configure(site: Site) -> Done:
    """Nothing, where the store has everything: the compile step runs CMake when it needs it."""
    action = action_of(site.plan, Compile)
    shelf = open_shelf(site)
    if shelf is not None and set(shelf.look()) == set(action.targets):
        write_cmake_inputs(site)
        return Done(f"not needed: {', '.join(action.targets)} in the store", facts={STORED: "yes"})
    worked = run_cmake(site)
    return Done(
        action.build,
        (made(Path(action.build) / "CMakeCache.txt"),),
        cpu_seconds=worked.cpu_seconds,
        peak_bytes=worked.peak_bytes,
    )


def _compile(action: Compile, site: Site) -> Done:
    """From the store what is there; CMake, where it did not run before, and ninja for the rest."""
    shelf = open_shelf(site)
    restored = Restored() if shelf is None else shelf.restore(shelf.look())
    whole = whole_configure(site)
    if len(restored.files) < len(action.targets) and not is_configured(whole):
        run_cmake(site)
    with watching_ninja(site, action) as seen:
        if shelf is not None:
            again = restore_by_commands(shelf, restored, whole.variables, site.log)
            restored = restored.joined(again)
        missing = [name for name in action.targets if name not in restored.files]
        compiled = _compile_these(missing, whole.variables, shelf, site, seen) if missing else None
        seen.restored_from = restored.read
    extensions = {**restored.files, **({} if compiled is None else compiled.extensions)}
    bound = None if compiled is None else compiled.bound
    facts = {} if bound is None else {"bound_seconds": f"{bound.seconds:.3f}"}
    use = None if compiled is None else compiled.cache_use
    facts |= {} if use is None else {"cache": use.name, "cache_hits": str(use.hits)}
    if restored.files:
        facts[STORED] = ",".join(restored.files)
    return Done(
        _summary(restored, compiled),
        tuple(made(extensions[name], hashed=True) for name in action.targets),
        facts,
        cpu_seconds=0.0 if compiled is None else compiled.worked.cpu_seconds,
        peak_bytes=None if compiled is None else compiled.peak_bytes,
        watched=seen.watched,
    )


def _compile_these(
    targets: Sequence[str],
    variables: Mapping[str, str],
    shelf: Shelf | None,
    site: Site,
    watch: Seen,
) -> Compiled:
    """Ninja for these targets, under CMake's variables; what it makes is kept in the store."""
    doors = site.doors
    action = action_of(site.plan, Compile)

    def progress(now: Progress, seen: Snapshot) -> None:
        told = StepProgress(site.step.name, monotonic(), now.done, now.total or None, "files")
        doors.emit(
            replace(
                told,
                at_work=seen.at_work,
                memory_bytes=seen.resident_bytes,
                waiting=seen.waiting,
                held=seen.held,
            )
        )

    modules = dict(zip(action.targets, action.modules, strict=True))
    some = replace(action, targets=tuple(targets), modules=tuple(modules[name] for name in targets))
    kept = Kept(site.log, doors.home.costs, doors.home.receipts(site.plan.key) / RECORD)
    hearers = Hearers(progress, site.note)
    with caching(_cache_wish(action, site, watch), doors.run, site.note) as cache:
        if shelf is None:
            return compile_targets(some, kept, hearers, Manner(variables, cache))
        with ledger_of(shelf, targets) as deps:
            finish = partial(finish_extension, shelf.setting.roots)
            compiled = compile_targets(some, kept, hearers, Manner(variables, cache, finish))
    keep(shelf, compiled.extensions, deps, doors.home.costs)
    return compiled


def _summary(restored: Restored, compiled: Compiled | None) -> str:
    parts = []
    if compiled is not None:
        worked, bound, count = compiled.worked, compiled.bound, len(compiled.extensions)
        parts.append(f"{count} extension{'s'[: count != 1]}, {worked.seconds:.0f} s")
        if bound is not None and bound.seconds:
            parts.append(f"{worked.seconds / bound.seconds:.2f} × the bound")
        parts.append(f"peak {compiled.peak_bytes / GIB:.1f} GiB")
        if (use := compiled.cache_use) is not None:
            parts.append(f"{use.name} answered {use.hits} of {use.hits + use.misses}")
    if restored.files:
        saved = f"{restored.seconds:.0f} CPU-s saved"
        parts.append(f"{', '.join(restored.files)} from the store, {saved}")
    return ", ".join(parts)


def _cache_wish(action: Compile, site: Site, seen: Seen) -> CacheWish:
    """The cache with the compilers it stands before and the folders that compiles name."""
    made = action_of(site.plan, Configure)
    environment = action_of(site.plan, Environment)
    projects = {
        name.removeprefix(PROJECT): Path(folder)
        for name, folder in site.facts.items()
        if name.startswith(PROJECT) and folder is not None
    }
    return CacheWish(
        kind=action.cache,
        required=action.cache_wished,
        folder=site.doors.home.caches,
        build=Path(action.build),
        launcher=Path(action.launcher),
        compilers=Compilers(
            made.compiler,
            made.definitions.get("CMAKE_CUDA_COMPILER"),
            seen.identity,
            is_gnu(seen.programs),
        ),
        namesakes=seen.namesakes,
        roots={**projects, "tree": Path(action.source), "env": Path(environment.path)},
    )
