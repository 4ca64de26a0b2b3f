"""argv in, exit code out."""


def main() -> int:
    """Placeholder until cli lands."""
    return 0
