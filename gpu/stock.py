"""Stock ninja -jN on the graph that vllm-forge built: same commands, same folder, objects gone.

argv: the build folder, the folder for results, seconds it may take, targets. The launcher runs each
compiler at once where no scheduler listens, so that ninja alone decides.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Prints one line, and writes stock.json."""
    build, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    targets = sys.argv[4].split(",")
    ninja = shutil.which("ninja") or "ninja"
    subprocess.run([ninja, "-C", build, "-t", "clean"], check=True, stdout=subprocess.DEVNULL)
    (build / ".ninja_log").unlink(missing_ok=True)
    cores = len(os.sched_getaffinity(0))
    started = time.monotonic()
    with (out / "stock.log").open("w") as log:
        done = subprocess.run(
            ["timeout", f"{limit:.0f}", ninja, "-C", build, f"-j{cores}", *targets],
            check=False,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    seconds = time.monotonic() - started
    shutil.copy(build / ".ninja_log", out / "stock.ninja_log")
    said = {"code": done.returncode, "seconds": seconds, "jobs": cores}
    (out / "stock.json").write_text(json.dumps(said))
    print(f"stock ninja -j{cores}: {seconds:.1f} s, exit {done.returncode}")


if __name__ == "__main__":
    main()
