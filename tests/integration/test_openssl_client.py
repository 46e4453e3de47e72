"""The 2020 document's test, word for word: CONNECT through ``openssl s_client``."""

from __future__ import annotations

import re
from typing import Any

import pytest

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"
LINE = (
    "RECV CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQTT, ProtoVsn=4, CleanStart=false, "
    "KeepAlive=0, Username=undefined, Password=undefined)"
)


def test_connect_through_s_client_verifies_is_answered_and_is_logged(
    broker: Any, spawn: Any
) -> None:
    """s_client verifies our chain (code 0), CONNACK comes back, the debug log has the line."""
    client = spawn(
        "openssl", "s_client", "-connect", f"localhost:{broker.ports['ssl:default']}",
        "-CAfile", broker.cafile, "-showcerts",
    )  # fmt: skip
    client.stdin.buffer.write(CONNECT)
    client.stdin.buffer.flush()
    broker.wait_for(LINE)
    output = b""
    while b"\x20\x02\x00\x00" not in output:
        data = client.stdout.buffer.read1(4096)
        assert data, f"no CONNACK in {output!r}"
        output += data
    assert b"Verify return code: 0 (ok)" in output


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client_verifies_the_certificate(broker: Any, run: Any, version: str) -> None:
    done = run(
        "openssl", "s_client", version, "-connect", f"localhost:{broker.ports['ssl:default']}",
        "-CAfile", broker.cafile, "-verify_hostname", "localhost",
        stdin=CONNECT + b"\xe0\x00",
    )  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.output
    assert re.search(r"Protocol *: TLSv1\.[23]|New, TLSv1\.[23]", done.output)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused_by_default(broker: Any, run: Any, version: str) -> None:
    done = run(
        "openssl", "s_client", version, "-cipher", "DEFAULT@SECLEVEL=0",
        "-connect", f"localhost:{broker.ports['ssl:default']}",
    )  # fmt: skip
    assert "Cipher is (NONE)" in done.output
    assert "alert protocol version" in done.output


def test_the_mqtt_alpn_is_chosen(broker: Any, run: Any) -> None:
    done = run(
        "openssl", "s_client", "-alpn", "mqtt", "-CAfile", broker.cafile,
        "-connect", f"localhost:{broker.ports['ssl:default']}",
    )  # fmt: skip
    assert "ALPN protocol: mqtt" in done.output


def test_another_alpn_is_refused(broker: Any, run: Any) -> None:
    """RFC 7301 alert 120; it stops attacks that bring one protocol's bytes to another's port."""
    done = run(
        "openssl", "s_client", "-alpn", "http/1.1", "-CAfile", broker.cafile,
        "-connect", f"localhost:{broker.ports['ssl:default']}",
    )  # fmt: skip
    assert "no application protocol" in done.output
