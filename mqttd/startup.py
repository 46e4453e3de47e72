"""What stands between a configuration file and a running service: checks, and clear ends."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from typing_extensions import override

from mqttd.config.errors import ConfigurationErrors, Finding, by_severity, notice
from mqttd.config.lint import lint
from mqttd.config.load import Loaded, UnusableOptions, load_configuration, placed
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.config.schema.tls import DEFAULT_CERTFILE, DEFAULT_KEYFILE, SslOptions
from mqttd.startup_trust import check_common_trust, check_listener_trust
from mqttd.tls.bootstrap import DEFAULT_CACERTFILE, ensure_default_certificates
from mqttd.tls.listener_context import check_listener
from mqttd.tls.self_test import TLSUnavailable, self_test

EXIT_CONFIGURATION = os.EX_CONFIG
"""Exit status (78) of a start with a configuration that cannot be used: no retry helps."""


OPEN_TO_ALL = "authentication"
"""The option that lint's one finding for every start is about: nobody is asked who they are."""


class StartupError(SystemExit, Exception):
    """The broker cannot start, for a reason the operator can mend, such as a busy port.

    twistd ends with a traceback when ``privilegedStartService`` or ``startService`` raise. A
    SystemExit ends the process with status 1 and without one; whoever raises it logs the lines.
    Being an Exception too, it is seen by twistd on its way out, which removes its pidfile and
    tells the process that waits for the daemon to come up.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(1)
        self.lines = list(lines)

    @override
    def __str__(self) -> str:
        return "\n".join(self.lines)


def load(path: str, base_dir: Path | None = None) -> Loaded:
    """The configuration at ``path``; relative paths start at ``base_dir`` (None: here).

    Raises ConfigurationErrors with every error there is: where options are wrong, the files that
    the others name are looked at all the same, so that one run shows what is to be mended.
    """
    try:
        return load_configuration(path, base_dir=base_dir)
    except UnusableOptions as errors:
        wrong = {finding.path for finding in errors.errors}
        origins = errors.rest.origins
        more = [placed(each, origins) for each in _errors_of_files(errors.rest, wrong)]
        raise ConfigurationErrors(list(dict.fromkeys([*errors.findings, *more]))) from None


def _errors_of_files(loaded: Loaded, wrong: set[str]) -> Iterator[Finding]:
    """Errors of the files named by options other than those in ``wrong``."""
    for path, options in _ssl_options(loaded):
        unknown = set(wrong)
        if any(each.startswith(f"{path}.") for each in wrong):
            # a default may stand in for the option that is wrong, or whose name is
            defaults = {"keyfile": DEFAULT_KEYFILE, "certfile": DEFAULT_CERTFILE}
            unknown |= {
                f"{path}.{name}"
                for name, value in defaults.items()
                if getattr(options, name) == value
            }
        if not _made_at_first_start(options, loaded.base_dir):
            findings = check_listener(options, path, loaded.base_dir, psk=_psk(loaded))
            yield from _errors_but(findings, unknown)
        yield from _errors_but(check_listener_trust(options, path, loaded.base_dir), unknown)
    yield from _errors_but(check_common_trust(loaded), wrong)


def _errors_but(findings: Iterable[Finding], unknown: set[str]) -> Iterator[Finding]:
    for finding in findings:
        if finding.severity == "error" and finding.path not in unknown:
            yield finding


def check_everything(loaded: Loaded) -> list[Finding]:
    """All findings, errors first: of loading, of the files named, and of weak settings.

    Changes nothing and opens no port.
    """
    findings = [*loaded.findings, *lint(loaded.configuration)]
    for path, options in _ssl_options(loaded):
        if _made_at_first_start(options, loaded.base_dir):
            findings.append(
                notice(
                    f"{path}.certfile",
                    f"{options.certfile} does not exist yet",
                    "the first start makes it, its key and an authority of this "
                    "installation's own",
                )
            )
        else:
            findings += check_listener(options, path, loaded.base_dir, psk=_psk(loaded))
        findings += check_listener_trust(options, path, loaded.base_dir)
    findings += check_common_trust(loaded)
    return by_severity(list(dict.fromkeys(placed(each, loaded.origins) for each in findings)))


def prepare(loaded: Loaded) -> tuple[list[str], list[Finding]]:
    """All that must hold before a port is opened: (lines for the operator, findings).

    Makes the first certificates where they are missing. The findings are those worth a line at
    every start; ``mqttd check`` shows the rest. Raises ConfigurationErrors with every error there
    is, in one run, and StartupError when TLS does not work on this machine.
    """
    try:
        self_test(psk=loaded.configuration.psk_authentication.enable)
    except TLSUnavailable as problem:
        raise StartupError([str(problem)]) from None
    lines: list[str] = []
    for path, options in _ssl_options(loaded):
        lines += ensure_default_certificates(options, loaded.base_dir, path=path)
    findings = check_everything(loaded)
    if any(finding.severity == "error" for finding in findings):
        raise ConfigurationErrors(findings)
    weak = [each for each in lint(loaded.configuration) if each.path != OPEN_TO_ALL]
    advice = [placed(each, loaded.origins) for each in weak]
    if advice:
        remarks = "remark" if len(advice) == 1 else "remarks"
        lines.append(f"mqttd check has {len(advice)} more {remarks} on weak or risky settings")
    return lines, [finding for finding in findings if finding not in advice]


def _ssl_options(loaded: Loaded) -> Iterator[tuple[str, SslOptions]]:
    for listener in loaded.configuration.listeners.enabled():
        if listener.ssl_options is not None:
            yield f"{listener.path}.ssl_options", listener.ssl_options


def _psk(loaded: Loaded) -> PskAuthenticationOptions | None:
    options = loaded.configuration.psk_authentication
    return options if options.enable else None


def _made_at_first_start(options: SslOptions, base_dir: Path) -> bool:
    named = (options.keyfile, options.certfile)
    return named == (DEFAULT_KEYFILE, DEFAULT_CERTFILE) and not any(
        os.path.lexists(base_dir / name) for name in (*named, DEFAULT_CACERTFILE)
    )
