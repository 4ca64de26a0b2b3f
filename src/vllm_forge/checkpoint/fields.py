"""Values out of unchecked JSON: the type a key must have, or exit 5 with its path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vllm_forge.checkpoint.trouble import bad_checkpoint, shown


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and where it stands, as `config.json: quantization_config`.

    Every accessor gives None for a missing key and for null.
    """

    values: Mapping[str, Any]
    origin: str

    def text(self, key: str) -> str | None:
        value: str | None = self._typed(key, str, "a string")
        return value

    def flag(self, key: str) -> bool | None:
        value: bool | None = self._typed(key, bool, "true or false")
        return value

    def number(self, key: str) -> int | None:
        """A whole number; JSON's true is not one."""
        value = self.values.get(key)
        if isinstance(value, bool) or (value is not None and not isinstance(value, int)):
            raise self._bad(key, "a whole number")
        return value

    def fields(self, key: str) -> "Fields | None":
        value = self._typed(key, dict, "an object")
        return None if value is None else Fields(value, f"{self.origin}.{shown(key)}")

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings."""
        value = self._typed(key, list, "a list")
        if value is None:
            return None
        if not all(isinstance(item, str) for item in value):
            raise self._bad(key, "a list of strings")
        return tuple(value)

    def _typed(self, key: str, kind: type, what: str) -> Any:  # noqa: ANN401 -- checked by kind
        value = self.values.get(key)
        if value is not None and not isinstance(value, kind):
            raise self._bad(key, what)
        return value

    def _bad(self, key: str, what: str) -> Exception:
        value = shown(repr(self.values.get(key)))
        return bad_checkpoint(f"{self.origin}.{shown(key)} is {value}, not {what}")
