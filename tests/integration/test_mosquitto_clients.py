"""mosquitto_pub and mosquitto_sub: MQTT 3.1, 3.1.1 and 5, QoS 0 to 2, over tcp and TLS."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

VERSIONS = ["mqttv31", "mqttv311", "mqttv5"]


@pytest.fixture(params=["tcp", "ssl"])
def address(request: pytest.FixtureRequest, broker: Any) -> list[str]:
    """Command line options that lead to the listener."""
    if request.param == "tcp":
        return ["-h", "127.0.0.1", "-p", str(broker.ports["tcp:default"])]
    return ["-h", "localhost", "-p", str(broker.ports["ssl:default"]), "--cafile", broker.cafile]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_message_arrives(address: list[str], run: Any, version: str, qos: str) -> None:
    """A retained message: it arrives whichever client comes first."""
    topic = f"int/{uuid.uuid4().hex}"
    common = [*address, "-V", version, "-t", topic, "-q", qos]
    sent = run("mosquitto_pub", *common, "-r", "-m", "hello", "-i", uuid.uuid4().hex[:20])
    assert sent.status == 0, sent.output
    got = run("mosquitto_sub", *common, "-C", "1", "-W", "10", "-F", "%r %q %p", "-i", "s" + qos)
    assert got.output.strip() == f"1 {qos} hello"
    assert got.status == 0


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_queued_session_gets_what_it_missed(
    address: list[str], run: Any, version: str, qos: str
) -> None:
    """Subscribe, go, publish, come back: all was kept (QoS 0 by mqueue_store_qos0)."""
    topic, client_id = f"int/{uuid.uuid4().hex}", uuid.uuid4().hex[:20]
    expiry = ["-x", "60"] if version == "mqttv5" else []
    me = [*address, "-V", version, "-t", topic, "-q", qos, "-i", client_id, "-c", *expiry]
    first = run("mosquitto_sub", *me, "-E")
    assert first.status == 0, first.output
    for number in range(3):
        run("mosquitto_pub", *address, "-V", version, "-t", topic, "-q", qos, "-m", number)
    got = run("mosquitto_sub", *me, "-C", "3", "-W", "10")
    assert got.output.split() == ["0", "1", "2"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_is_published_when_the_client_is_killed(
    address: list[str], run: Any, spawn: Any, broker: Any, version: str
) -> None:
    """A killed client's Will, retained so that the check cannot come too early."""
    topic, client_id = f"will/{uuid.uuid4().hex}", uuid.uuid4().hex[:20]
    client = spawn(
        "mosquitto_sub", *address, "-V", version, "-i", client_id, "-t", "nothing/here",
        "--will-topic", topic, "--will-payload", "gone", "--will-qos", "1", "--will-retain",
    )  # fmt: skip
    broker.wait_for(f"as {client_id} ")
    client.kill()
    got = run("mosquitto_sub", *address, "-V", version, "-t", topic, "-C", "1", "-W", "10")
    assert got.output.strip() == "gone"


def test_an_empty_retained_message_removes_the_stored_one(address: list[str], run: Any) -> None:
    topic = f"int/{uuid.uuid4().hex}"
    run("mosquitto_pub", *address, "-t", topic, "-r", "-m", "stored", "-q", "1")
    run("mosquitto_pub", *address, "-t", topic, "-r", "-n", "-q", "1")
    got = run("mosquitto_sub", *address, "-t", topic, "-C", "1", "-W", "1")
    assert got.status == 27, "27 is mosquitto_sub's time-out"
    assert "stored" not in got.output


def test_mqtt_5_properties_pass_through(address: list[str], run: Any) -> None:
    topic = f"int/{uuid.uuid4().hex}"
    sent = run(
        "mosquitto_pub", *address, "-V", "5", "-t", topic, "-r", "-m", "x", "-q", "1",
        "-D", "publish", "content-type", "text/plain",
        "-D", "publish", "response-topic", "answer/here",
        "-D", "publish", "correlation-data", "abc",
        "-D", "publish", "payload-format-indicator", "1",
        "-D", "publish", "message-expiry-interval", "1000",
        "-D", "publish", "user-property", "k", "v1",
        "-D", "publish", "user-property", "k", "v2",
    )  # fmt: skip
    assert sent.status == 0, sent.output
    got = run(
        "mosquitto_sub", *address, "-V", "5", "-t", topic, "-C", "1", "-W", "10",
        "-F", "%C|%R|%D|%F|%P|%E",
    )  # fmt: skip
    kind, response, correlation, form, user, expiry = got.output.strip().split("|")
    assert (kind, response, correlation, form) == ("text/plain", "answer/here", "abc", "1")
    assert user == "k:v1 k:v2"
    assert 990 <= int(expiry) <= 1000


def test_a_wrong_ca_is_no_connection(broker: Any, run: Any) -> None:
    """The client checks us, too: with somebody else's CA it goes no further."""
    done = run(
        "mosquitto_pub", "-h", "localhost", "-p", broker.ports["ssl:default"],
        "--cafile", "/etc/ssl/certs/ca-certificates.crt", "-t", "t", "-m", "x",
    )  # fmt: skip
    assert done.status != 0
