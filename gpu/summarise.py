"""What `verify --json` found, in a few lines. argv: the document's path."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Every check with its status."""
    document = json.loads(Path(sys.argv[1]).read_text() or "{}")
    for check in document.get("checks", ()):
        print(f"  {check['status']:8} {check['name']}: {check['detail'][:150]}")


if __name__ == "__main__":
    main()
