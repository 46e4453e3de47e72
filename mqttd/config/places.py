"""Where the configuration is looked for."""

from __future__ import annotations

import os

CONFIG_FILES = ("etc/mqttd.conf", "/etc/mqttd/mqttd.conf")
"""Where the configuration is looked for when none is named; the first that exists counts."""


def default_configuration() -> str | None:
    """The configuration file used when none is named; None when there is none."""
    return next((path for path in CONFIG_FILES if os.path.exists(path)), None)
