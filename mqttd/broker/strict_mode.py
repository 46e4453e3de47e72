"""What ``strict_mode`` adds: refusing characters that MQTT lets a server refuse."""

from __future__ import annotations

_LAST_TWO = 0xFFFE


def is_discouraged(text: str) -> bool:
    """Whether the text holds control characters or Unicode's non-characters (1.5.4; 1.5.3).

    MQTT says that clients SHOULD NOT send them, and lets a server refuse them.
    """
    return any(_refusable(ord(character)) for character in text)


def _refusable(point: int) -> bool:
    return (
        point < 0x20
        or 0x7F <= point <= 0x9F
        or 0xFDD0 <= point <= 0xFDEF
        or point & _LAST_TWO == _LAST_TWO  # the last two of each plane
    )
