"""What all packet classes share: equality and a repr that shows no payload."""

from __future__ import annotations


class PacketValue:
    """Base of the packet classes: plain values compared by their fields."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # packets can be changed

    def __repr__(self) -> str:
        # Payloads, passwords and authentication data never reach a log or a traceback.
        fields = ", ".join(f"{name}={self._shown(name)}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if name == "password" and value is not None:
            return "******"
        if name == "payload":
            return f"<{len(value)} bytes>"
        return repr(value)
