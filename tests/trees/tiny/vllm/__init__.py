"""The tiny tree's package."""

from importlib.metadata import version

__version__ = version("vllm")


def main() -> None:
    print(__version__)  # noqa: T201 -- a console script of two words
