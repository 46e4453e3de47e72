"""The options of limits and rates, as the file has them."""

from __future__ import annotations

import pytest

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.config.types import Rate


def test_the_example_of_emqx_works_verbatim() -> None:
    text = """
    listeners.tcp.default {
      bind = "0.0.0.0:1883"
      max_conn_rate = "1000/s"
      max_conn_burst = "10000/60m"
      messages_rate = "1000/s"
      messages_burst = "10000/60m"
      bytes_rate = "1MB/s"
      bytes_burst = "100MB/60m"
    }
    flapping_detect { enable = true, window_time = 1m, max_count = 15, ban_time = 5m }
    """
    configuration = load_text(text).configuration
    listener = configuration.listeners.tcp["default"]
    assert listener.bytes_rate == Rate(1024**2, 1.0)
    assert listener.messages_burst == Rate(10_000, 3600.0)
    assert configuration.flapping_detect.ban_time == 300


def test_what_is_on_by_default() -> None:
    abuse = load_text("").configuration.abuse
    assert abuse.exempt == ["127.0.0.0/8", "::1/128"]
    assert abuse.per_address.max_connections is None
    assert abuse.per_address.handshake_rate is None
    assert abuse.failed_auth.enable
    assert abuse.failed_auth.address_max_count is None


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("abuse.exempt = [here]", "abuse.exempt", "no address and no network"),
        ("abuse.per_address.conn_rate = 0", "abuse.per_address.conn_rate", "zero"),
        ("abuse.per_address.conn_burst = 5", "abuse.per_address.conn_burst", "conn_rate"),
        ("abuse.per_identity.identity = face", "abuse.per_identity.identity", "expects one of"),
        ("listeners.tcp.a.bytes_burst = 5MB", "listeners.tcp.a.bytes_burst", "bytes_rate"),
        ("abuse.failed_auth.backoff = 1h", "abuse.failed_auth.backoff", "max_backoff"),
        ("flapping_detect.max_count = 0", "flapping_detect.max_count", "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, path: str, said: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        load_text(text)
    (finding,) = caught.value.errors
    assert finding.path == path
    assert said in finding.text
