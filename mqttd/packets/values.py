"""What all packet classes share: equality, and a repr that shows no secret and no payload."""

from __future__ import annotations

from typing import ClassVar

_SECRET = frozenset(("password", "payload"))


class PacketValue:
    """Base of the packet classes: plain values, compared by their ``FIELDS``.

    Compiled by mypyc a class has no ``__slots__``, so the names are kept under their own name.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ()
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.FIELDS
        )

    __hash__ = None  # type: ignore[assignment]  # packets can be changed

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self._shown(name)}" for name in self.FIELDS)
        return f"{type(self).__name__}({fields})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        # Payloads and passwords never reach a log or a traceback, only their length.
        return f"<{len(value)} bytes>" if name in _SECRET and value is not None else repr(value)
