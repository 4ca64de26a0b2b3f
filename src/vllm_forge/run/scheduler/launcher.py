"""launcher.c in Python, for machines where that does not compile: the same words, 15 ms dearer.

Run as a script, on the standard library alone.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import sys
from time import sleep
from types import FrameType

PR_SET_PDEATHSIG = 1
HELD = "VLLM_FORGE_SLOT"
CACHE = "VLLM_FORGE_CACHE"
HERE = "/proc/self/cwd"
BEFORE_A_PATH = "=,:;\"' "
AFTER_A_FOLDER = f"/{BEFORE_A_PATH[1:]}"
PATIENCE = 1
POLL_SECONDS = 0.05
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class Child:
    """The compiler, which leads a process group of its own; `ended_by` is what we were told."""

    def __init__(self) -> None:
        self.process = 0
        self.ended_by = 0

    def end(self, sign: int, _frame: FrameType | None) -> None:
        if self.process == 0:
            os._exit(128 + sign)  # still waiting for the broker, or done
        if sign != signal.SIGALRM:
            self.ended_by = sign
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL if sign == signal.SIGALRM else sign)
        signal.alarm(PATIENCE)


def die_with_parent(sign: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sign))


def connect_broker(folder: int) -> socket.socket | None:
    broker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        broker.connect(f"/proc/self/fd/{folder}/socket")
    except OSError:
        return None
    return broker


def ask(broker: socket.socket, words: list[str]) -> bool:
    said = "\0".join(["ask", os.environ.get(HELD, ""), os.getcwd(), *words, ""])  # noqa: PTH109
    return tell(broker, os.fsencode(said))


def tell(broker: socket.socket, message: bytes) -> bool:
    try:
        broker.send(message)
    except OSError:
        return False
    return True


def hear(broker: socket.socket) -> str:
    """Empty when the broker is gone."""
    try:
        return broker.recv(32).decode()
    except OSError:
        return ""


def lock_slot(folder: int, slot: int) -> int | None:
    """Lock one slot's file, until it is closed or we end; None when another holds it."""
    file = os.open(f"slot-{slot}", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def take_any_slot(folder: int) -> int:
    jobs = max(1, int(os.environ.get("VLLM_FORGE_BROKER_JOBS", "1")))
    while True:
        for slot in range(jobs):
            file = lock_slot(folder, slot)
            if file is not None:
                return file
        sleep(POLL_SECONDS)


def run(child: Child, words: list[str]) -> tuple[int, str]:
    """Run the compiler to its end; its exit code, and what the broker is told."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    process = os.fork()
    if process == 0:
        become(words)
    with contextlib.suppress(OSError):
        os.setpgid(process, process)
    child.process = process
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    _, status, usage = os.wait4(process, 0)
    if child.ended_by or os.WIFSIGNALED(status):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # what it had started itself
    signal.alarm(0)
    child.process = 0
    user, system = int(usage.ru_utime * 1e6), int(usage.ru_stime * 1e6)
    return os.waitstatus_to_exitcode(status), f"end {status} {user} {system} {usage.ru_maxrss}"


def become(words: list[str]) -> None:
    """The compiler, in place of this process; 127 when it cannot be started."""
    os.setpgid(0, 0)
    die_with_parent(signal.SIGKILL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("500")
    for sign in ENDINGS:
        signal.signal(sign, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    try:
        os.execvp(words[0], words)  # noqa: S606 -- no shell is the point
    except OSError as error:
        sys.stderr.write(f"forge-launch: {words[0]}: {error.strerror}\n")
    os._exit(127)


def open_folder() -> int | None:
    """The broker's folder, None where there is none: then nobody shares anything out."""
    try:
        return os.open(os.environ["VLLM_FORGE_BROKER"], os.O_PATH | os.O_DIRECTORY)
    except (KeyError, OSError):
        return None


def admitted(broker: socket.socket) -> int | None:
    """Wait for the broker's word; the slot it gives, None when the broker is gone."""
    word, _, slot = hear(broker).partition(" ")
    if word == "stop":
        sys.exit(128 + signal.SIGTERM)
    return int(slot) if word == "go" else None


def behind_cache(words: list[str]) -> list[str]:
    """The command behind the compiler cache, where there is one and it can judge this compile."""
    cache = os.environ.get(CACHE)
    if cache is None or "-c" not in words or "-MD" not in words:
        return words
    lines = os.environ.get(f"{CACHE}_ROOTS", "").splitlines()
    roots = [(folder, link) for folder, _, link in (line.partition("\t") for line in lines)]
    flag = os.environ.get(f"{CACHE}_FLAG")
    more = [flag] if flag and os.path.basename(words[0]) != "nvcc" else []  # noqa: PTH119
    if roots:
        os.environ["PWD"] = HERE  # what debug information is told
    del os.environ[CACHE]  # a launcher inside the cache is in front of the compiler
    return [cache, words[0], *(with_links(word, roots) for word in words[1:]), *more]


def with_links(word: str, roots: list[tuple[str, str]]) -> str:
    """`word` with links for folders: a path begins the word or its value, or is an option's first.

    >>> with_links("-I/src/vllm/csrc", [("/src/vllm", "forge/tree")])
    '-Iforge/tree/csrc'
    >>> with_links("-I/mnt/src/vllm", [("/src/vllm", "forge/tree")])
    '-I/mnt/src/vllm'
    """
    if word.startswith("-D"):
        return word  # a value of the program's, no place
    parts, done, at = [], 0, word.find("/")
    first = word.startswith("-")
    while at >= 0:
        after = at + 1
        if first or at == 0 or word[at - 1] in BEFORE_A_PATH:
            for folder, link in roots:
                end = at + len(folder)
                if word.startswith(folder, at) and word[end : end + 1] in ("", *AFTER_A_FOLDER):
                    parts += [word[done:at], link]
                    done = after = end
                    break
        first = False
        at = word.find("/", after)
    return "".join([*parts, word[done:]])


def launch(words: list[str]) -> int:
    child = Child()
    for sign in ENDINGS:
        signal.signal(sign, child.end)
    die_with_parent(signal.SIGTERM)
    folder = open_folder()
    held = HELD in os.environ  # by the launcher we run inside
    broker = None if folder is None else connect_broker(folder)
    words = behind_cache(words)
    if broker is not None and not ask(broker, words):
        broker = None
    while True:
        slot = None if broker is None else admitted(broker)
        file = None
        if slot is not None:
            os.environ[HELD] = str(slot)
        else:
            broker = None
        if folder is not None and not held:
            file = take_any_slot(folder) if slot is None else lock_slot(folder, slot)
        code, took = run(child, words)
        if file is not None:
            os.close(file)  # before the broker gives the slot to another
        if broker is None or not tell(broker, took.encode()):
            break
        if code == 0 or child.ended_by or hear(broker) != "again":
            break
    if child.ended_by:
        return 128 + child.ended_by
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: forge-launch COMMAND [ARGUMENT]...")
    sys.exit(launch(sys.argv[1:]))
