"""The control socket: the ``control`` section."""

from __future__ import annotations

import attrs

from mqttd.config.option import BOOLEAN, PATH, option


@attrs.frozen(kw_only=True)
class ControlOptions:
    """What ``mqttd ctl`` speaks to: HTTP over a Unix socket of mode 0600."""

    enable: bool = option(BOOLEAN, True, "Whether there is a control socket.")
    socket: str = option(PATH, "run/mqttd.sock", "Path of the socket.")
