"""What all packet classes share: equality, and a repr that shows no secret and no payload."""

from __future__ import annotations

_SECRET = frozenset(("password", "payload"))


class PacketValue:
    """Base of the packet classes: plain values, compared by the fields named in ``__slots__``."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # packets can be changed

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self._shown(name)}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        # Payloads and passwords never reach a log or a traceback, only their length.
        return f"<{len(value)} bytes>" if name in _SECRET and value is not None else repr(value)
