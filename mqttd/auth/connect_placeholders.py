"""Placeholders of what is asked about a client that connects."""

from __future__ import annotations

from typing import Final

from mqttd.http_backend.template import ASKED_OF, text_of
from mqttd.placeholders import Placeholders

CONNECT: Final = Placeholders(
    {**ASKED_OF, "password": lambda request: text_of("password", request.password)},
    lambda request: request.attributes,
)
"""Those of a :class:`~mqttd.identity.ConnectRequest`."""
