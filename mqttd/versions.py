"""The versions of mqttd and of what it runs on."""

from __future__ import annotations

import platform

from OpenSSL import SSL

import twisted
from mqttd._version import __version__


def version_text() -> str:
    """Two lines: mqttd's version, then those of Python, Twisted and OpenSSL."""
    openssl = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")
    return (
        f"mqttd {__version__}\n"
        f"Python {platform.python_version()}, Twisted {twisted.__version__}, {openssl}"
    )
