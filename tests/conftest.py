"""Fixtures that tests of every kind share."""

import os
import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "support.index",
    "support.nvcc",
    "support.program",
    "support.real",
    "support.stale",
    "support.tiny",
    "support.webdav",
    "support.workshop",
]

# The cmake, ninja and uv of this environment, not whichever the machine happens to have.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

# Machines are shared: an example that took long proves nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("shared")

# A shell's background job, as CI may be one, ignores Ctrl-C, and so would every program under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
