"""What goes wrong with files and words an operator gave."""

from __future__ import annotations


class CertsProblem(Exception):  # noqa: N818 - shown to the operator as it is
    """Something cannot be done: ``message`` says what and why, ``cure`` what helps."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
