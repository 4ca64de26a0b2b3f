"""A compiler driver that is only its costs: the source says what a child takes, and for how long.

    fake-g++ ... -c SOURCE -o OBJECT

SOURCE holds `MEBIBYTES SECONDS`, more such pairs one after the other, or the word `hang`. As with
g++, the work is done by a child, and a child that was killed makes the driver say so and exit 1.
"""

import os
import sys
import time
from pathlib import Path


def work(said: list[str]) -> None:
    if said == ["hang"]:
        time.sleep(600)
    for mebibytes, seconds in zip(said[::2], said[1::2], strict=True):
        until = time.monotonic() + float(seconds)
        held = bytearray()  # what was held is given back
        for _ in range(int(mebibytes)):
            held += b"x" * (1 << 20)
        time.sleep(max(0.0, until - time.monotonic()))


def main(words: list[str]) -> int:
    source = Path(words[words.index("-c") + 1])
    child = os.fork()
    if child == 0:
        work(source.read_text().split())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        sys.stderr.write("fake-g++: fatal error: Killed signal terminated program cc1plus\n")
        return 1
    Path(words[words.index("-o") + 1]).write_text("object")
    return 0


sys.exit(main(sys.argv[1:]))
