"""A JSON document of vllm-forge in a few lines. argv: its kind, its path."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Every check with its status."""
    document = json.loads(Path(sys.argv[2]).read_text() or "{}")
    for check in document.get("checks", ()):
        print(f"  {check['status']:8} {check['name']}: {check['detail'][:150]}")
    if document.get("text") is not None:
        print(f"  text: {document['text']!r}")


if __name__ == "__main__":
    main()
