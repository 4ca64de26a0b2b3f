"""Answers launchers: who may start, when; and sees what becomes of them.

One thread, one selector. The other end of its messages is launcher.c.
"""

import contextlib
import os
import selectors
import signal
import socket
import struct
import threading
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final

from vllm_forge.records.schedule import (
    CompileRecord,
    MemorySample,
    Prediction,
    Room,
    Waiting,
)
from vllm_forge.resolve.admission import choose_admissions, foresee, order_of
from vllm_forge.run.scheduler.command import parse_command
from vllm_forge.run.scheduler.edge import Edge
from vllm_forge.run.scheduler.learned import KILLED, Costs
from vllm_forge.run.scheduler.memory import read_oom_kills
from vllm_forge.run.scheduler.predict import predict

GIB: Final = 1 << 30

SOCKET: Final = "socket"
LONGEST: Final = 1 << 18
"""Bytes of one message; launcher.c sends at most 160 KiB."""

LOOK_SECONDS: Final = 0.25
LOOK_SELDOM: Final = 1.0
SHARE: Final = 0.05
"""Looking takes this part of the time at most, with many processes; but it is done each second."""

SETTLE_SECONDS: Final = 0.02
SETTLE_MOST: Final = 0.1
"""At the start ninja asks for one compile after another; once it pauses, the longest is known."""

HANGING_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the broker sees now; `held` says why those waiting wait."""

    running: tuple[str, ...] = ()
    resident_bytes: int = 0
    waiting: int = 0
    held: str = ""


class Broker:
    """`read_room` looks at the machine; `size` gives a source's bytes."""

    def __init__(
        self,
        folder: Path,
        *,
        costs: Costs,
        read_room: Callable[[], Room],
        ccache_asks_again: bool = False,
    ) -> None:
        self.compiles: list[CompileRecord] = []
        self.samples: list[MemorySample] = []
        self.notes: deque[str] = deque()
        self.said: list[str] = []
        self.snapshot = Snapshot()
        self.degraded: str | None = None
        self._costs = costs
        self._read_room = read_room
        self._began = monotonic()
        self._room = read_room()
        self.first_room = self._room
        self._edges: dict[socket.socket, Edge] = {}
        self._waiting: list[Waiting] = []
        self._asking: dict[int, Edge] = {}
        self._running: dict[int, Edge] = {}
        self._numbers = 0
        self._looked = 0.0
        self._look_again = 0.0
        self._asked_first: float | None = None
        self._asked_last = 0.0
        self._idle_since: float | None = None
        self._oom_kills = read_oom_kills()
        self._ccache_asks_again = ccache_asks_again
        self._stop_read, self._stop_write = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(folder)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stop_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="forge-broker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what still waits is sent home, what still compiles is killed."""
        os.write(self._stop_write, b"x")
        self._thread.join()
        os.close(self._stop_read)
        os.close(self._stop_write)

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    def _run(self) -> None:
        try:
            while self._turn():
                pass
            for edge in self._edges.values():
                edge.kill()
                _say(edge, "stop")
        except Exception as error:  # noqa: BLE001 -- whatever it is, the build must go on
            self.degraded = f"the scheduler failed ({type(error).__name__}: {error})"
            self._note(f"{self.degraded}; the build goes on without it")
        finally:
            self._close()

    def _close(self) -> None:
        """Launchers that still wait see the end and share out the slots themselves."""
        for connection in [*self._edges, self._listener]:
            connection.close()
        self._selector.close()

    def _turn(self) -> bool:
        """Wait for something, answer it, look at memory when it is time; False: stop."""
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd == self._stop_read:
                return False
            else:
                self._hear(self._edges[_socket_of(key)])
        now = self.seconds
        if now >= self._look_again:
            self._look(now)
        if self._settled(now):
            self._admit(now)
        return True

    def _patience(self) -> float | None:
        """Seconds to wait for messages; None where nothing is going on."""
        if not self._edges:
            return None
        now = self.seconds
        wait = self._look_again - now
        if not self._settled(now):
            wait = min(wait, SETTLE_SECONDS / 2)
        return max(0.0, wait)

    def _settled(self, now: float) -> bool:
        """Whether the first questions have come in."""
        if self._asked_first is None:
            return False
        return (
            bool(self.compiles or self._running)
            or now - self._asked_last >= SETTLE_SECONDS
            or now - self._asked_first >= SETTLE_MOST
        )

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(0)
                self._numbers += 1
                edge = Edge(
                    self._numbers, connection, _peer(connection), UNKNOWN, NOTHING, self.seconds
                )
                self._edges[connection] = edge
                self._selector.register(connection, selectors.EVENT_READ)
                self._hear(edge)

    def _hear(self, edge: Edge) -> None:
        """Every message that has come; an empty one is the launcher's end."""
        while True:
            try:
                message = edge.connection.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._lose(edge)
                return
            kind, _, rest = message.partition(b"\0" if message.startswith(b"ask\0") else b" ")
            match kind:
                case b"ask":
                    self._ask(edge, os.fsdecode(rest).split("\0"))
                case b"end":
                    self._end(edge, [int(word) for word in rest.split()])
                case _:
                    raise ValueError(f"a launcher said {message[:40]!r}")

    def _ask(self, edge: Edge, words: list[str]) -> None:
        held, folder, *command = words
        edge.command = parse_command(command[:-1] or ["?"])
        edge.predicted = predict(edge.command, self._costs, lambda source: _size(folder, source))
        edge.asked = self._asked_last = self.seconds
        if self._asked_first is None:
            self._asked_first = edge.asked
        edge.outer = self._holder_of(held)
        if edge.outer is not None:  # the cache has missed
            edge.outer.inner, edge.outer.cached = edge, False
            edge.slot = edge.outer.slot
            self._running.pop(edge.outer.number, None)
        said = foresee(edge.waiting(), self._room)
        if said is not None:
            self._note(said)
        self._enqueue(edge)

    def _enqueue(self, edge: Edge) -> None:
        self._asking[edge.number] = edge
        insort(self._waiting, edge.waiting(), key=order_of)

    def _dequeue(self, edge: Edge) -> None:
        if self._asking.pop(edge.number, None) is not None:
            self._waiting = [one for one in self._waiting if one.number != edge.number]

    def _holder_of(self, slot: str) -> Edge | None:
        if not slot.isdecimal():
            return None
        return next((edge for edge in self._running.values() if edge.slot == int(slot)), None)

    def _end(self, edge: Edge, figures: list[int]) -> None:
        status, user, system, largest = figures
        code = os.waitstatus_to_exitcode(status)
        now = self.seconds
        edge.peak_bytes = max(edge.peak_bytes, 0 if edge.inner else largest * 1024)
        if self._room.available_bytes is not None:  # what it held is there again
            available = self._room.available_bytes + edge.resident_bytes
            self._room = replace(self._room, available_bytes=available)
        self._running.pop(edge.number, None)
        edge.cpu_seconds = (user + system) / 1e6
        sign = None if code == 0 else edge.died_of(code, read_oom_kills())
        code = code if sign is None else -sign
        if sign is not None and edge.attempt == 1 and edge.inner is None:
            self._try_again(edge, now, sign)
            return
        self._finish(edge, now, code)
        if code != 0:
            _say(edge, "done")

    def _finish(self, edge: Edge, now: float, code: int) -> None:
        """Keep what became of it; one inside a cache gives its core back to the one outside."""
        edge.done = True
        if edge.outer is None:
            self._keep(edge, now, code)
        elif not edge.outer.done:
            self._running[edge.outer.number] = edge.outer

    def _try_again(self, edge: Edge, now: float, sign: int) -> None:
        self._keep(edge, now, -sign)
        name = signal.Signals(sign).name
        self._note(
            f"{edge.command.name} died of {name} at {edge.peak_bytes / GIB:.1f} GiB (predicted "
            f"{edge.predicted.peak_bytes / GIB:.1f} GiB, {edge.predicted.because}); "
            "it is tried once more, alone"
        )
        edge.try_again_alone()
        edge.asked = now
        self._enqueue(edge)
        _say(edge, "again")

    def _keep(self, edge: Edge, now: float, code: int) -> None:
        if self._ccache_asks_again and edge.light and edge.inner is None and code == 0:
            edge.cached = True
        self.compiles.append(edge.record(now, code))

    def _lose(self, edge: Edge) -> None:
        """A launcher that has ended; one that was killed leaves processes and no word."""
        self._selector.unregister(edge.connection)
        edge.connection.close()
        del self._edges[edge.connection]
        self._dequeue(edge)
        self._running.pop(edge.number, None)
        if edge.started is not None and not edge.done:
            edge.kill()
            self._finish(edge, self.seconds, KILLED)

    def _look(self, now: float) -> None:
        """See memory and pressure, and every running compile's processes."""
        since = now - self._looked
        for edge in self._running.values():
            edge.look(now, min(since, now - (edge.started or now)))
            if not edge.said_hanging and _hangs(edge, now):
                edge.said_hanging = True
                self._note(
                    f"{edge.command.name} has used no CPU for {HANGING_SECONDS:.0f} s; "
                    f"to end it: kill -- -{edge.group}"
                )
        self._room = self._read_room()
        self._oom_kills = read_oom_kills()
        resident = sum(edge.resident_bytes for edge in self._running.values())
        self.samples.append(
            MemorySample(
                round(now, 3),
                resident,
                self._room.available_bytes,
                self._room.pressure,
                len(self._running),
                len(self._waiting),
            )
        )
        self._looked = now
        taken = self.seconds - now
        self._look_again = now + min(LOOK_SELDOM, max(LOOK_SECONDS, taken / SHARE))
        self._show(self.snapshot.held)

    def _admit(self, now: float) -> None:
        idle = bool(self._waiting) and not self._running
        self._idle_since = (self._idle_since or now) if idle else None
        if not self._waiting:
            self._show("")
            return
        verdict = choose_admissions(
            self._waiting,
            [edge.running(now) for edge in self._running.values()],
            replace(self._room, idle_seconds=now - (self._idle_since or now)),
        )
        for number, reason in verdict.reasons.items():
            self._asking[number].held = reason
        for admitted in verdict.admitted:
            edge = self._asking[admitted.number]
            self._dequeue(edge)
            if admitted.warning is not None:
                self._note(admitted.warning)
            self._start(edge, now, verdict.held)
        self._show(verdict.held)

    def _start(self, edge: Edge, now: float, held: str) -> None:
        if now - edge.asked > LOOK_SECONDS:
            edge.waited_for = edge.held or held
        edge.started = edge.busy_at = now
        edge.oom_kills = self._oom_kills
        if edge.slot is None:
            taken = {other.slot for other in self._edges.values() if not other.done}
            edge.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self._running[edge.number] = edge
        self._idle_since = None
        _say(edge, f"go {edge.slot}")

    def _note(self, message: str) -> None:
        self.notes.append(message)
        self.said.append(message)

    def _show(self, held: str) -> None:
        running = self._running.values()
        self.snapshot = Snapshot(
            tuple(edge.command.name for edge in running),
            sum(edge.resident_bytes for edge in running),
            len(self._waiting),
            held if self._waiting else "",
        )


UNKNOWN: Final = parse_command(["?"])
NOTHING: Final = Prediction(0.0, 0, "guessed", "it has not asked yet")


def _listen(folder: Path) -> socket.socket:
    """Bound through the folder's descriptor: a socket's path may have 107 bytes at most."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{place}/{SOCKET}")
    finally:
        os.close(place)
    listener.listen(socket.SOMAXCONN)
    listener.settimeout(0)
    return listener


def _peer(connection: socket.socket) -> int:
    """The process at the other end (SO_PEERCRED, unix(7): pid, uid, gid)."""
    size = struct.calcsize("3i")
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", said)[0])


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)  # noqa: S101 -- only sockets are left
    return key.fileobj


def _say(edge: Edge, word: str) -> None:
    """A launcher that has gone in the meantime is noticed when it is heard."""
    with contextlib.suppress(OSError):
        edge.connection.send(word.encode())


def _hangs(edge: Edge, now: float) -> bool:
    """The server does sccache's work."""
    return edge.command.cache != "sccache" and now - edge.busy_at > HANGING_SECONDS


def _size(folder: str, source: str) -> int:
    try:
        return Path(folder, source).stat().st_size
    except OSError:
        return 0
