"""What a command of ``mqttd ctl`` gives back."""

from __future__ import annotations


class Answer:
    """What a command prints: ``value`` as JSON, or ``text``; ``status`` is the exit status."""

    def __init__(self, value: object, text: str, status: int = 0) -> None:
        self.value = value
        self.text = text
        self.status = status


class Misuse(Exception):  # noqa: N818
    """The command line lacks something."""
