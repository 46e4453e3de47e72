"""What a look at the configuration found: errors, warnings, notices, each with path and cure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

Severity = Literal["error", "warning", "notice"]

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "notice": 2}


@attrs.frozen
class Finding:
    """One thing found in the configuration or in a file it names.

    ``path`` is the option (``listeners.ssl.default.ssl_options.certfile``), or empty when the
    whole file is meant. ``message`` says what is wrong or risky, ``cure`` what to do about it.
    ``origin`` is where the option was written: a file and line, or an environment variable.
    None of them ever holds a secret value.
    """

    severity: Severity
    path: str
    message: str
    cure: str = ""
    origin: str = ""

    @property
    def text(self) -> str:
        """All but the severity, on one line."""
        place = f" ({self.origin})" if self.origin else ""
        subject = f"{self.path}{place}: " if self.path or place else ""
        cure = f" [{self.cure}]" if self.cure else ""
        return f"{subject.lstrip()}{self.message}{cure}"

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


def error(path: str, message: str, cure: str = "") -> Finding:
    """A finding that stops the start."""
    return Finding("error", path, message, cure)


def warning(path: str, message: str, cure: str = "") -> Finding:
    """A finding about something weak, risky or without effect."""
    return Finding("warning", path, message, cure)


def notice(path: str, message: str, cure: str = "") -> Finding:
    """A finding that is only information."""
    return Finding("notice", path, message, cure)


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with errors first, then warnings, then notices; otherwise in given order."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


class InvalidValue(ValueError):  # noqa: N818 - names what is wrong
    """A value that an option cannot take: ``problem`` says why, ``cure`` what would do."""

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


class ConfigurationErrors(Exception):  # noqa: N818 - it holds several
    """The configuration cannot be used. ``findings`` holds every error and the rest."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = by_severity(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))

    @property
    def errors(self) -> list[Finding]:
        """Only those findings that stop the start."""
        return [finding for finding in self.findings if finding.severity == "error"]
