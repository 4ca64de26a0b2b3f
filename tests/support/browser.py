"""Pages in a real browser without a screen, cut off from the network."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"),
)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


class Browser:
    """`profile` is a folder that it may write into."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile

    def dom(self, page: Path, wanted: str = "", *, width: int = 1400) -> str:
        """The document after its script has run; `wanted` stands in the report's filter."""
        return self._open(page, wanted, width, "--dump-dom")

    def shoot(self, page: Path, into: Path, *, width: int = 1400, dark: bool = False) -> Path:
        """A picture of it."""
        more = ["--force-dark-mode"] if dark else []
        self._open(page, "", width, f"--screenshot={into}", *more)
        return into

    def _open(self, page: Path, wanted: str, width: int, *more: str) -> str:
        assert CHROMIUM is not None
        where = f"{page.as_uri()}{wanted and f'#{wanted}'}"
        size = f"--window-size={width},1200"
        command = [CHROMIUM, *QUIET, f"--user-data-dir={self._profile}", size, *more, where]
        done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
        assert "CONSOLE" not in done.stderr, f"the page complains: {done.stderr}"
        return done.stdout


def rows(shown: str, table: str = "table") -> list[list[str]]:
    """The texts of a table's cells, row by row."""
    inside = shown.partition(f'<table id="{table}">')[2].partition("</table>")[0]
    body = inside.partition("<tbody>")[2]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def bars(shown: str) -> list[dict[str, str]]:
    """The timeline's compiles: attributes of each."""
    found = re.findall(r'<rect class="one[^>]*>', shown)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', one)) for one in found]
