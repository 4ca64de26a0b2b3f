"""Fingerprints: equal when, and only when, a step would do the same again."""

import hashlib
from collections.abc import Sequence

import msgspec

WITHOUT_EFFECT = frozenset({"jobs", "memory_bytes", "cache", "cache_wished"})
"""Fields that change how a step is done and not what it makes."""


def fingerprint(action: object, after: Sequence[str] = ()) -> str:
    """Sha256 over the action's fields and the fingerprints of the steps it stands on."""
    fields = {
        name: value
        for name, value in msgspec.to_builtins(action, order="sorted").items()
        if name not in WITHOUT_EFFECT
    }
    encoded = msgspec.json.encode([fields, list(after)], order="sorted")
    return hashlib.sha256(type(action).__name__.encode() + b"\0" + encoded).hexdigest()
