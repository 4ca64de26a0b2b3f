"""A build's schedule in a few lines: what it took, and what it could have taken at best."""

from vllm_forge.records.schedule import CacheUse, CompileRecord, ScheduleRecord
from vllm_forge.resolve.makespan import bound_of, peak_of
from vllm_forge.show.units import render_bytes, render_duration

MOST_NAMED = 5
OWN = 0.8


def render_summary(record: ScheduleRecord) -> tuple[str, ...]:
    """Lines for the end of a build; () when nothing was compiled."""
    if not record.compiles:
        return ()
    bound = bound_of(record)
    cpu = sum(one.cpu_seconds for one in record.compiles)
    took = (
        f"{count_of(record)} in {render_duration(record.seconds)}; at best "
        f"{render_duration(bound.seconds)} (by {bound.binding}), "
        f"efficiency {efficiency_of(record):.0%}"
    )
    room = f" of {render_bytes(record.memory_bytes)}" if record.memory_bytes else ""
    used = (
        f"CPU {render_duration(cpu)} on {record.cores} core{'s'[: record.cores != 1]}, "
        f"peak memory {render_bytes(peak_of(record))}{room}"
    )
    slow = ", ".join(_slow(one) for one in slowest(record)[:MOST_NAMED])
    lines = (
        *(took, used, render_share(record), f"slowest: {slow}"),
        *(render_cache(record.cache), record.degraded or ""),
    )
    return tuple(line for line in lines if line)


def render_cache(use: CacheUse | None) -> str:
    """What the compiler cache answered, and why not all; empty where none was asked.

    >>> render_cache(CacheUse("ccache", "4.7.5", "/cache", 3, 1, {"a file it reads changed": 1}))
    'ccache answered 3 of 4 compiles (75%); missed: 1 × a file it reads changed'
    """
    if use is None or not use.hits + use.misses:
        return ""
    asked = use.hits + use.misses
    said = f"{use.name} answered {use.hits} of {asked} compiles ({use.hits / asked:.0%})"
    why = ", ".join(f"{count} × {reason}" for reason, count in use.missed.items())
    return f"{said}; missed: {why}" if why else said


def count_of(record: ScheduleRecord) -> str:
    """What was compiled, what a cache answered, what stood.

    >>> count_of(ScheduleRecord("", 0.0, 1, None, (), (), unchanged=7))
    '0 compiled, 7 unchanged'
    """
    hits = sum(1 for one in record.compiles if one.cached)
    failed = sum(1 for one in record.compiles if one.code != 0)
    again = sum(1 for one in record.compiles if one.attempt > 1)
    parts = [
        f"{len(record.compiles) - hits - failed} compiled",
        f"{hits} from the cache" if hits else "",
        f"{failed} failed" if failed else "",
        f"{again} tried twice" if again else "",
        f"{record.unchanged} unchanged" if record.unchanged else "",
    ]
    return ", ".join(part for part in parts if part)


def efficiency_of(record: ScheduleRecord) -> float:
    """The bound over the time it took: 1 is as fast as this machine can."""
    return bound_of(record).seconds / record.seconds if record.seconds else 1.0


def share_of(record: ScheduleRecord) -> float | None:
    """The part of a core that a compile had on average, None where nothing was compiled.

    Far below 1, something else used the machine: then the bound was out of reach.
    """
    compiled = [one for one in record.compiles if not one.cached and one.command.cache != "sccache"]
    spent = sum(one.seconds for one in compiled)
    return min(1.0, sum(one.cpu_seconds for one in compiled) / spent) if spent else None


def render_share(record: ScheduleRecord) -> str:
    """Empty where compiles had their cores to themselves."""
    share = share_of(record)
    if share is None or share >= OWN:
        return ""
    return f"a compile had {share:.0%} of a core: something else used this machine"


def slowest(record: ScheduleRecord) -> list[CompileRecord]:
    return sorted(record.compiles, key=lambda one: -one.seconds)


def _slow(one: CompileRecord) -> str:
    return f"{one.command.name} {render_duration(one.seconds)} {render_bytes(one.peak_bytes)}"
