"""The incremental loop's lines: what was saved, and what became of it."""

from collections.abc import Sequence

from vllm_forge.records.schedule import ScheduleRecord

MOST_NAMED = 3


def render_saved(files: Sequence[str], said: str) -> str:
    """What was saved, and what that asks for.

    >>> render_saved(["a.py", "b.py", "c.py", "d.py"], "Python only")
    'a.py, b.py, c.py and 1 more: Python only'
    """
    named = ", ".join(files[:MOST_NAMED])
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"{named}{more}: {said}" if files else said


def render_loaded(
    files: Sequence[str], seconds: float, record: ScheduleRecord | None, restored: str = ""
) -> str:
    """From the save until it could be imported, and what of that was compiling.

    `restored` names extensions that came out of the store.

    >>> render_loaded(["csrc/a.cpp"], 1.42, None, "_C")
    'csrc/a.cpp: importable 1.4 s after the save (_C from the store)'
    """
    done = f"importable {seconds:.1f} s after the save"
    if record is None:
        why = f" ({restored} from the store)" if restored else "; nothing compiled reads it"
        return render_saved(files, f"{done}{why}")
    objects = [one for one in record.compiles if one.command.kind != "link"]
    links = [one for one in record.compiles if one.command.kind == "link"]
    parts = []
    if objects:
        longest = max(one.seconds for one in objects)
        count = f"{len(objects)} files, the longest" if len(objects) > 1 else "file"
        parts.append(f"{count} {longest:.1f} s")
    if links:
        parts.append(f"link {max(one.seconds for one in links):.1f} s")
    return render_saved(files, f"{done} ({', '.join(parts)})")
