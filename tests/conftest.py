"""Fixtures that tests of every kind share."""

import os
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
