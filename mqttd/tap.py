"""``twistd mqttd``: the command line, and from it the service."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage
from typing_extensions import override

import twisted
from mqttd._version import __version__
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import Loaded, load_configuration

CONFIG_FILES = ("etc/mqttd.conf", "/etc/mqttd/mqttd.conf")
"""Looked for in this order when ``--config`` is not given."""


class Options(usage.Options):
    """Options of ``twistd mqttd``. After parsing, ``loaded`` is the checked configuration."""

    synopsis = "[twistd options] mqttd [--config FILE]"
    longdesc = "An MQTT broker (3.1, 3.1.1, 5.0) over tcp, ssl, ws and wss."
    loaded: Loaded

    optParameters = [  # noqa: RUF012, N815 - Twisted's way
        ["config", "c", None, f"Configuration file (default: {' or '.join(CONFIG_FILES)})."],
    ]
    optFlags = [  # noqa: RUF012, N815
        ["check-config", None, "Check the configuration and the files it names, then exit."],
    ]

    def opt_version(self) -> None:
        """Print the versions of mqttd and of what it runs on, then exit."""
        print(version_text())
        sys.exit(0)

    def opt_help_plugins(self) -> None:
        """List the plugins that can be named in the configuration, then exit."""
        print(
            "This version of mqttd has no plugin points yet.\n"
            "Authenticators, authorizers, revocation checkers and PSK stores are to come."
        )
        sys.exit(0)

    opt_help_plugins.__name__ = "opt_help-plugins"

    @override
    def postOptions(self) -> None:
        path = config_path(self["config"])
        try:
            self.loaded = load_configuration(path)
        except ConfigurationErrors as errors:
            raise usage.UsageError(f"{path}:\n{errors}") from None
        if self["check-config"]:
            sys.exit(_check(self.loaded))


def config_path(given: str | None) -> str:
    """The configuration file to read. Raises UsageError when there is none."""
    if given is not None:
        if not os.access(given, os.R_OK):
            raise usage.UsageError(f"cannot read the configuration file {given}")
        return given
    for path in CONFIG_FILES:
        if Path(path).exists():
            return path
    raise usage.UsageError(f"no configuration file: neither {' nor '.join(CONFIG_FILES)}")


def version_text() -> str:
    """mqttd's version, and those of Python, Twisted and OpenSSL."""
    from mqttd.tls.self_test import self_test  # noqa: PLC0415 - slow, and for --version only

    return (
        f"mqttd {__version__}\n"
        f"Python {platform.python_version()}, Twisted {twisted.__version__}, {self_test()}"
    )


def _check(loaded: Loaded) -> int:
    from mqttd.startup import check_everything  # noqa: PLC0415

    findings = check_everything(loaded)
    for finding in findings:
        print(finding)
    errors = sum(finding.severity == "error" for finding in findings)
    print(f"{loaded.path}: {'ok' if not errors else f'{errors} errors'}")
    return 1 if errors else 0


def makeService(options: Options) -> IService:
    """The service for a parsed command line; twistd calls this."""
    # Imported late: by now twistd has installed the reactor the user asked for.
    from mqttd.service import BrokerService  # noqa: PLC0415
    from mqttd.startup import prepare  # noqa: PLC0415

    loaded = options.loaded
    try:
        notices, findings = prepare(loaded)
    except ConfigurationErrors as errors:
        raise SystemExit(f"mqttd does not start; {loaded.path}:\n{errors}") from None
    parent: Any = options.parent or {}
    foreground = bool(parent.get("nodaemon"))
    own_log = not (parent.get("logfile") or parent.get("logger") or parent.get("syslog"))
    return BrokerService(
        loaded, notices=notices, findings=findings, own_log=own_log, hints=foreground
    )
