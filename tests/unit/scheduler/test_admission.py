"""Who may start: values in, verdicts out."""

from vllm_forge.records.schedule import Admitted, Room, Running, Verdict, Waiting
from vllm_forge.resolve.admission import (
    PATIENCE,
    PRESSED,
    choose_admissions,
    foresee,
    memory_left,
    order_of,
)

GIB = 1 << 30


def waiting(number: int, seconds: float, gibibytes: float, **more: int) -> Waiting:
    held = int(gibibytes * GIB)
    return Waiting(number, f"file{number}", seconds, held, cores=more.get("cores", 1))


def running(number: int, gibibytes: float, seen: float = 0.0, left: float = 100.0) -> Running:
    return Running(
        number, f"file{number}", 1, int(gibibytes * GIB), int(seen * GIB), left_seconds=left
    )


def room(cores: int = 8, gibibytes: float = 9.0, **more: float) -> Room:
    size = int(gibibytes * GIB)
    return Room(cores, size, size, more.get("pressure", 0.0), more.get("idle", 0.0))


def choose(*waiters: Waiting, at_work: tuple[Running, ...] = (), where: Room) -> Verdict:
    return choose_admissions(sorted(waiters, key=order_of), at_work, where)


def started(verdict: Verdict) -> list[int]:
    return [one.number for one in verdict.admitted]


def test_the_longest_start_first_into_free_cores() -> None:
    verdict = choose(waiting(1, 10, 1), waiting(2, 30, 1), waiting(3, 20, 1), where=room(cores=2))
    assert started(verdict) == [2, 3]
    assert verdict.held == "all 2 cores are taken"


def test_only_what_fits_into_memory_starts() -> None:
    verdict = choose(*(waiting(number, 100, 2.8) for number in range(8)), where=room())
    assert started(verdict) == [0, 1, 2]
    assert verdict.reasons[3] == "needs 2.8 GiB, 0.6 GiB left"
    assert verdict.held == "file3 needs 2.8 GiB, 0.6 GiB left"


def test_running_compiles_are_counted_with_what_they_will_still_take() -> None:
    at_work = (running(1, 4.0, seen=1.0), running(2, 2.0, seen=3.0))
    assert memory_left(at_work, Room(8, 5 * GIB, 10 * GIB)) == 2 * GIB  # 5 less 3 to come
    assert memory_left(at_work, Room(8, 50 * GIB, 10 * GIB)) == 3 * GIB  # 10 less 4 and 3
    assert memory_left(at_work, Room(8, None, None)) is None


def test_others_on_the_machine_are_seen_in_what_is_available() -> None:
    where = Room(8, 2 * GIB, 16 * GIB)  # someone else took 14
    assert started(choose(waiting(1, 50, 3), waiting(2, 10, 1), where=where)) == [2]


def test_unknown_memory_holds_nothing_back() -> None:
    verdict = choose(*(waiting(number, 9, 99) for number in range(3)), where=Room(8, None, None))
    assert started(verdict) == [0, 1, 2]


def test_a_smaller_one_goes_past_one_that_does_not_fit_while_cores_are_scarcer() -> None:
    waiters = (waiting(1, 100, 6), *(waiting(number, 90, 0.5) for number in range(2, 40)))
    verdict = choose(*waiters, at_work=(running(99, 4.0),), where=room())
    assert started(verdict) == list(range(2, 9))


def test_where_memory_is_scarcer_it_is_kept_for_the_longest() -> None:
    waiters = (waiting(1, 100, 6), *(waiting(number, 90, 2.5) for number in range(2, 40)))
    verdict = choose(*waiters, at_work=(running(99, 4.0, left=30),), where=room())
    assert started(verdict) == [2]  # 9 - 4 hold one more, which leaves 6 when the running one ends
    assert verdict.reasons[3] == "memory is kept for a longer one"


def test_short_ones_that_end_in_time_may_use_the_kept_memory() -> None:
    waiters = (waiting(1, 100, 8.9), waiting(2, 20, 2.5), waiting(3, 60, 2.5))
    verdict = choose(*waiters, at_work=(running(99, 4.0, left=30),), where=room())
    assert started(verdict) == [2]


def test_one_that_can_never_fit_is_said_and_runs_last_and_alone() -> None:
    vast = waiting(1, 700, 12)
    assert "12.0 GiB" in (foresee(vast, room()) or "")
    assert foresee(waiting(2, 700, 9), room()) is None
    assert foresee(vast, Room(8, None, None)) is None
    beside = choose(vast, waiting(2, 5, 1), where=room())
    assert started(beside) == [2]
    assert started(choose(vast, at_work=(running(2, 1.0),), where=room())) == []
    assert started(choose(vast, where=room())) == [1]
    after = choose(waiting(3, 5, 1), at_work=(running(1, 12.0),), where=room())
    assert started(after) == []


def test_when_others_hold_the_memory_something_starts_after_a_while() -> None:
    where = Room(8, GIB, 16 * GIB)
    waiters = (waiting(1, 50, 3), waiting(2, 10, 2))
    assert started(choose(*waiters, where=where)) == []
    patient = Room(8, GIB, 16 * GIB, idle_seconds=PATIENCE)
    [one] = choose(*waiters, where=patient).admitted
    assert one.number == 2, "the one that needs least"
    assert "others on this machine" in (one.warning or "")


def test_pressure_holds_new_work_back_while_something_runs() -> None:
    pressed = room(pressure=PRESSED)
    held = choose(waiting(1, 10, 1), at_work=(running(2, 1.0),), where=pressed)
    assert started(held) == []
    assert held.held == "memory pressure: 10 % of the last 10 s were stalled"
    assert started(choose(waiting(1, 10, 1), where=pressed)) == [1]


def test_a_retry_waits_for_the_machine_and_has_it_alone() -> None:
    lone = Waiting(1, "killed", 5, GIB, alone=True)
    beside = choose(lone, waiting(2, 500, 1), at_work=(running(3, 1.0),), where=room())
    assert started(beside) == []
    assert beside.held == "killed was killed and is compiled alone"
    assert choose(lone, waiting(2, 500, 1), where=room()).admitted == (Admitted(1),)
    at_work = (Running(1, "killed", 1, GIB, 0, 5.0, alone=True),)
    assert started(choose(waiting(2, 500, 1), at_work=at_work, where=room())) == []


def test_a_cache_miss_keeps_its_core_and_needs_only_memory() -> None:
    inside = waiting(1, 10, 2, cores=0)
    verdict = choose(inside, waiting(2, 99, 1), where=room(cores=1))
    assert started(verdict) == [1], "its core is taken: none is left for the other"
    assert started(choose(inside, waiting(2, 99, 1), where=room(cores=2))) == [1, 2]


def test_threads_of_one_compile_take_as_many_cores() -> None:
    verdict = choose(*(waiting(number, 10, 1, cores=2) for number in range(4)), where=room(cores=4))
    assert started(verdict) == [0, 1]


def test_nothing_waits() -> None:
    assert choose(where=room()) == Verdict((), {}, "nothing waits")


def test_a_compile_of_many_threads_waits_for_as_many_cores() -> None:
    wide, narrow = waiting(1, 100, 1, cores=4), waiting(2, 10, 1)
    at_work = (running(3, 1.0),)
    beside = choose(wide, narrow, at_work=at_work, where=room(cores=4))
    assert started(beside) == [2]
    assert beside.reasons == {1: "needs 4 cores, 3 free"}
    assert started(choose(wide, narrow, at_work=at_work, where=room(cores=5))) == [1]
    assert started(choose(wide, narrow, where=room(cores=2))) == [1], "more than there are at all"
