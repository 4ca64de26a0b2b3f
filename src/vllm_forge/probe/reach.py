"""Whether the package index answers."""

from vllm_forge.records.doors import ReadUrl
from vllm_forge.records.machine import Reachable
from vllm_forge.records.problem import Problem

ASKED_FOR = "pip/"
"""A project that every index has; the index's own root is a list of all projects, tens of MB."""


def read_reachable(read_url: ReadUrl | None, index_url: str | None) -> Reachable:
    """`index_url` is a simple index (PEP 503). Without a way to ask: not asked.

    The code host is not asked here: only builds with fetched projects need it, and they say so.
    """
    if read_url is None or index_url is None:
        return Reachable()
    try:
        read_url(f"{index_url.rstrip('/')}/{ASKED_FOR}", start=0, stop=1)
    except Problem:
        return Reachable(index=False)
    return Reachable(index=True)
