"""Answers launchers over a socket, in a thread of its own; launcher.c is at the other end.

What it says comes from the floor. If that fails, every connection is closed: the launchers notice
and go on without it.
"""

import contextlib
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from vllm_forge.records.schedule import Prediction, Room
from vllm_forge.run.scheduler.command import parse_command
from vllm_forge.run.scheduler.edge import Edge
from vllm_forge.run.scheduler.floor import SETTLE_SECONDS, Floor
from vllm_forge.run.scheduler.learned import Costs

SOCKET: Final = "socket"
LONGEST: Final = 1 << 18
"""Bytes of one message; launcher.c sends at most 160 KiB."""

UNKNOWN: Final = parse_command(["?"])
NOTHING: Final = Prediction(0.0, 0, "guessed", "it has not asked yet")


class Broker:
    """Listens in `folder` from the moment it is made, answers from `start` on."""

    def __init__(
        self,
        folder: Path,
        *,
        costs: Costs,
        read_room: Callable[[], Room],
        ccache_asks_again: bool = False,
    ) -> None:
        self.degraded: str | None = None
        self._began = monotonic()
        self._listener = _listen(folder)
        self.floor = Floor(
            lambda: self.seconds, costs, read_room, ccache_asks_again=ccache_asks_again
        )
        self._edges: dict[socket.socket, Edge] = {}
        self._numbers = 0
        self._stop_read, self._stop_write = os.pipe()
        self._selector = selectors.DefaultSelector()
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
            self.floor.note(f"{self.degraded}; the build goes on without it")
        finally:
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
                assert isinstance(key.fileobj, socket.socket)  # noqa: S101 -- only sockets are left
                self._hear(self._edges[key.fileobj])
        now = self.seconds
        if now >= self.floor.look_again:
            self.floor.look(now)
        if self.floor.settled(now):
            for edge in self.floor.admit(now):
                _say(edge, f"go {edge.slot}")
        return True

    def _patience(self) -> float | None:
        """Seconds to wait for messages; None where nothing is going on."""
        if not self._edges:
            return None
        now = self.seconds
        wait = self.floor.look_again - now
        if not self.floor.settled(now):
            wait = min(wait, SETTLE_SECONDS / 2)
        return max(0.0, wait)

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
                self._selector.unregister(edge.connection)
                edge.connection.close()
                del self._edges[edge.connection]
                self.floor.lose(edge)
                return
            if message.startswith(b"ask\0"):
                _, held, folder, *command = os.fsdecode(message).split("\0")
                self.floor.ask(edge, held, folder, command[:-1] or ["?"])
            else:
                _, status, user, system, largest = message.split()
                code = os.waitstatus_to_exitcode(int(status))
                spent = (int(user) + int(system)) / 1e6
                word = self.floor.end(edge, code, spent, int(largest) * 1024)
                if code != 0:
                    _say(edge, word)


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


def _say(edge: Edge, word: str) -> None:
    """A launcher that has gone in the meantime is noticed when it is heard."""
    with contextlib.suppress(OSError):
        edge.connection.send(word.encode())
