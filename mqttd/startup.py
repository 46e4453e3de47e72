"""What stands between a configuration file and a running service: checks, and clear ends."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mqttd.config.errors import ConfigurationErrors, Finding, by_severity
from mqttd.config.lint import lint
from mqttd.config.load import Loaded
from mqttd.tls.bootstrap import ensure_default_certificates
from mqttd.tls.context import check_ssl_options
from mqttd.tls.self_test import self_test


class StartupError(SystemExit):
    """The service cannot start. Ends the process with status 1; the lines were logged before.

    A SystemExit, because twistd shows any other exception as a traceback, and the operator needs
    the line, not the traceback.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(1)
        self.lines = list(lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def make_default_certificates(loaded: Loaded) -> list[str]:
    """First start: make the default certificate files where a listener asks for them.

    Returns lines for the operator. Raises ConfigurationErrors when only some files are there.
    """
    notices: list[str] = []
    for listener in loaded.configuration.listeners.enabled():
        if listener.ssl_options is not None:
            notices += ensure_default_certificates(
                listener.ssl_options, loaded.base_dir, path=f"{listener.path}.ssl_options"
            )
    return notices


def check_certificates(loaded: Loaded, now: float | None = None) -> list[Finding]:
    """Everything wrong or risky in the TLS options and files of the enabled listeners."""
    moment = time.time() if now is None else now
    findings: list[Finding] = []
    for listener in loaded.configuration.listeners.enabled():
        if listener.ssl_options is not None:
            path = f"{listener.path}.ssl_options"
            findings += check_ssl_options(listener.ssl_options, path, loaded.base_dir, moment)
    return findings


def check_everything(loaded: Loaded) -> list[Finding]:
    """All findings, errors first: of loading, of the files named, and of weak settings."""
    findings = [*loaded.findings, *check_certificates(loaded), *lint(loaded.configuration)]
    return by_severity(list(dict.fromkeys(findings)))


def prepare(loaded: Loaded) -> tuple[list[str], list[Finding]]:
    """All that must hold before a port is opened: (notices, findings that are no errors).

    Raises ConfigurationErrors with every error there is, in one run.
    """
    self_test()
    notices = make_default_certificates(loaded)
    findings = check_everything(loaded)
    if any(finding.severity == "error" for finding in findings):
        raise ConfigurationErrors(findings)
    # Weak settings are for ``mqttd check``; that everybody is let in is said at every start.
    weak = {each for each in lint(loaded.configuration) if each.path != "authentication"}
    return notices, [each for each in findings if each not in weak]
