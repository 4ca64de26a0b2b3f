"""A fact and where it was read."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """A value read from somewhere, or the statement that it could not be read.

    `value` is None when the fact is *unknown*: then `source` says where it was looked for.
    `source` is `FILE:LINE` relative to the tree, a URL-less index name, or a command line.
    """

    value: T | None
    source: str
