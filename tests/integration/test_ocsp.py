"""OCSP with a real responder and real clients: stapling, and certificates of clients."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

ROOT = Path(__file__).parents[2]
SEEDS = Path(os.environ.get("MQTTD_SEEDS", ROOT.parent / "shared" / "seeds"))
GOOD = "Cert Status: good"
NONE = "OCSP response: no response sent"


def _responders() -> Any:
    path = ROOT / "tests/revocation/openssl_responder.py"
    spec = importlib.util.spec_from_file_location("openssl_responder", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Place:
    """A folder with certificates, a responder for them, and clients that ask for staples."""

    def __init__(self, folder: Path, pki: Any, run: Any, pem: Any) -> None:
        self.folder = folder
        self.pki = pki
        self.run = run
        self._pem = pem
        self.responders: list[Any] = []
        (folder / "root.pem").write_text(pem(pki.root.cert))
        self.install("server", pki.ec)
        (folder / "ca.pem").write_text(pem(pki.root.cert))
        (folder / "ocsp-issuer.pem").write_text(pem(pki.intermediate.cert))
        self.responder = self.new_responder(pki.intermediate)
        self.responder.good(pki.ec.cert)

    def new_responder(self, authority: Any, signer: Any = None) -> Any:
        folder = self.folder / f"responder{len(self.responders)}"
        self.responders.append(_responders().Responder(folder, authority, signer))
        return self.responders[-1]

    def install(self, name: str, issued: Any) -> None:
        """Write a certificate with its chain and key."""
        (self.folder / f"{name}.pem").write_text(issued.chain_pem)
        (self.folder / f"{name}.key").touch(0o600)
        (self.folder / f"{name}.key").write_text(issued.key_pem)

    def must_staple(self) -> Any:
        feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
        return self.pki.intermediate.issue(extra=[feature])

    def s_client(self, port: int, *options: str) -> str:
        """What s_client says after one handshake."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", "root.pem"]
        output: str = self.run(*command, *options, cwd=self.folder).output
        return output

    def gnutls(self, port: int, *options: str) -> Any:
        """What gnutls-cli says, which enforces must-staple."""
        command = ["gnutls-cli", "--x509cafile", "root.pem", "--port", str(port), *options]
        return self.run(*command, "localhost", cwd=self.folder)


@pytest.fixture
def place(tmp_path: Path, pki: Any, run: Any, make_cert_pem: Any) -> Iterator[Place]:
    made = Place(tmp_path, pki, run, make_cert_pem)
    yield made
    for responder in made.responders:
        responder.close()


def config(place: Place, ocsp: str = "", more: str = "", kind: str = "ssl") -> str:
    """One listener that staples."""
    return f"""
    listeners.{kind}.default {{
      bind = "127.0.0.1:0"
      ssl_options {{
        keyfile = "server.key"
        certfile = "server.pem"
        ocsp {{ enable_ocsp_stapling = true, responder_url = "{place.responder.url}"{ocsp} }}
        {more}
      }}
    }}
    log.console.level = debug
    """


# --- stapling ----------------------------------------------------------------------------------


@pytest.mark.skipif(not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS})")
def test_the_snippet_of_the_seed(place: Place, start_broker: Any) -> None:
    """As it stands there; only the folder, the port and the responder's address are ours."""
    (text,) = {
        textwrap.dedent(block)
        for path in SEEDS.glob("*.txt")
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if "enable_ocsp_stapling" in block
    }
    for ours, theirs in (
        (f"{place.folder}/", "/etc/emqx/certs/"),
        ('bind = "127.0.0.1:0"', 'bind = "0.0.0.0:8883"'),
        (place.responder.url, "http://ocsp.responder.com:9877"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    broker = start_broker(text, place.folder)
    broker.wait_for("says CN=localhost is good")
    port = broker.ports["ssl:default"]
    for version in ("-tls1_2", "-tls1_3"):
        for name in (("-servername", "localhost"), ("-noservername",)):
            said = place.s_client(port, version, "-status", *name)
            assert GOOD in said
            assert "Verify return code: 0 (ok)" in said
    assert "OCSP" not in place.s_client(port, "-tls1_3"), "who does not ask gets nothing"
    done = place.gnutls(port, "--save-ocsp=staple.der")
    assert done.status == 0, done.output
    shown = place.run("openssl", "ocsp", "-respin", "staple.der", "-noverify", "-resp_text",
                      cwd=place.folder).output  # fmt: skip
    assert GOOD in shown
    assert len(place.responder.requests) == 1, "handshakes do not ask the responder"
    method, path = place.responder.requests[0]
    assert method == "GET"
    assert path.startswith("/M")
    assert broker.stop() == -15


def test_wss_and_a_restart_while_the_responder_is_down(place: Place, start_broker: Any) -> None:
    text = config(place, kind="wss")
    broker = start_broker(text, place.folder)
    broker.wait_for("says CN=localhost is good")
    assert GOOD in place.s_client(broker.ports["wss:default"], "-status")
    broker.stop()
    assert len(list((place.folder / "data/ocsp").glob("*.ocsp"))) == 1
    place.responder.close()
    broker = start_broker(text, place.folder)
    broker.wait_for("refuses connections; the response at hand is stapled until")
    assert GOOD in place.s_client(broker.ports["wss:default"], "-status")
    broker.stop()


def test_post_where_get_is_not_allowed_and_https(place: Place, start_broker: Any) -> None:
    place.install("responder", place.pki.root.issue())
    responder = place.new_responder(place.pki.intermediate)
    responder.good(place.pki.ec.cert)
    responder.tls = (str(place.folder / "responder.pem"), str(place.folder / "responder.key"))
    responder.lie = lambda asked, truth: (
        (200, truth()) if responder.requests[-1][0] == "POST" else (405, b"")
    )
    place.responder = responder
    broker = start_broker(config(place, ', ssl.cacertfile = "root.pem"'), place.folder)
    broker.wait_for("says CN=localhost is good")
    assert [method for method, _ in responder.requests] == ["GET", "POST"]
    assert GOOD in place.s_client(broker.ports["ssl:default"], "-status")
    broker.stop()


def test_an_untrusted_https_responder_is_not_believed(place: Place, start_broker: Any) -> None:
    place.install("responder", place.pki.other_root.issue())
    place.responder = responder = place.new_responder(place.pki.intermediate)
    responder.good(place.pki.ec.cert)
    responder.tls = (str(place.folder / "responder.pem"), str(place.folder / "responder.key"))
    broker = start_broker(config(place, ', ssl.cacertfile = "root.pem"'), place.folder)
    broker.wait_for("nothing is stapled")
    assert responder.requests == []
    assert NONE in place.s_client(broker.ports["ssl:default"], "-status")
    broker.stop()


def test_each_server_name_has_its_own_response(place: Place, start_broker: Any) -> None:
    other = place.pki.intermediate.issue("other.example", san=[x509.DNSName("other.example")])
    place.install("other", other)
    place.responder.revoke(other.cert)
    sni = f"""
        sni {{ "other.example" {{
          certfile = "other.pem"
          keyfile = "other.key"
          ocsp {{ enable_ocsp_stapling = true, responder_url = "{place.responder.url}/o" }}
        }} }}
    """
    broker = start_broker(config(place, more=sni), place.folder)
    broker.wait_for("says CN=localhost is good")
    line = broker.wait_for("OUR OWN CERTIFICATE IS REVOKED: CN=other.example")
    assert "[critical]" in line
    port = broker.ports["ssl:default"]
    for version in ("-tls1_2", "-tls1_3"):
        assert GOOD in place.s_client(port, version, "-status", "-servername", "localhost")
        said = place.s_client(port, version, "-status", "-servername", "other.example")
        assert "Cert Status: revoked" in said
        assert GOOD in place.s_client(port, version, "-status", "-noservername")
    assert any(path.startswith("/o/M") for _, path in place.responder.requests)
    broker.stop()


def test_must_staple_is_there_from_the_first_handshake_on(place: Place, start_broker: Any) -> None:
    issued = place.must_staple()
    place.install("server", issued)
    place.responder.good(issued.cert)
    broker = start_broker(config(place), place.folder)
    # No waiting for the response: the port is opened after it came.
    done = place.gnutls(broker.ports["ssl:default"])
    assert done.status == 0, done.output
    broker.stop()


@pytest.mark.parametrize("failure", ["down", "another certificate"])
def test_must_staple_without_a_response(place: Place, start_broker: Any, failure: str) -> None:
    issued = place.must_staple()
    place.install("server", issued)
    text = config(place)
    other = _request(place.pki.ec.cert, place.pki.intermediate.cert)
    place.responder.lie = lambda asked, truth: (200, place.responder.answer(other))
    if failure == "down":
        place.responder.close()
    broker = start_broker(text, place.folder)
    line = broker.wait_for("must-staple")
    assert "[error]" in line
    port = broker.ports["ssl:default"]
    assert place.gnutls(port).status != 0
    assert NONE in place.s_client(port, "-status")
    broker.stop()


def _request(certificate: Any, issuer: Any) -> bytes:
    from mqttd.revocation.ocsp_message import Question

    return Question.of(certificate, issuer).der


def test_a_reload_with_a_new_certificate(place: Place, start_broker: Any) -> None:
    broker = start_broker(config(place), place.folder)
    broker.wait_for("says CN=localhost is good")
    renewed = place.pki.intermediate.issue("renewed")
    place.responder.good(renewed.cert)
    place.install("server", renewed)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("says CN=renewed is good")
    said = place.s_client(broker.ports["ssl:default"], "-status")
    assert GOOD in said
    assert f"{renewed.cert.serial_number:X}" in said
    broker.stop()
    assert len(list((place.folder / "data/ocsp").glob("*.ocsp"))) == 1, "the old one is dropped"


# --- client certificates -----------------------------------------------------------------------


class Clients:
    """Two clients, one of them revoked, and a broker that asks about them."""

    def __init__(self, place: Place, start: Callable[..., Any]) -> None:
        self.place = place
        self._start = start
        self.responder = place.new_responder(place.pki.root)
        self.good, bad, worse = (self.new(name) for name in ("good", "bad", "worse"))
        self.responder.revoke(bad.cert)
        self.responder.revoke(worse.cert)

    def new(self, name: str) -> Any:
        """One more client."""
        issued = self.place.pki.root.client(name)
        self.place.install(name, issued)
        self.responder.good(issued.cert)
        return issued

    def start(self, options: str = "") -> Any:
        self.broker = self._start(
            f"""
            listeners.ssl.default {{
              bind = "127.0.0.1:0"
              ssl_options {{
                keyfile = "server.key"
                certfile = "server.pem"
                cacertfile = "root.pem"
                verify = verify_peer
                ocsp_client {{ enable = true, responder_url = "{self.responder.url}" {options} }}
              }}
            }}
            log.console.level = debug
            """,
            self.place.folder,
        )
        self.port = self.broker.ports["ssl:default"]
        return self.broker

    def publish(self, name: str, version: str = "tlsv1.3") -> Any:
        """A message of a real client."""
        return self.place.run(
            "mosquitto_pub", "-h", "localhost", "-p", self.port, "--cafile", "root.pem",
            "--cert", f"{name}.pem", "--key", f"{name}.key", "--tls-version", version,
            "-i", f"{name}-{version}", "-t", "t", "-m", "x", "-q", "1", "-V", "5",
            cwd=self.place.folder,
        )  # fmt: skip

    def handshake(self, name: str, version: str) -> str:
        """What s_client says when it sends a CONNECT at once."""
        connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01z"
        output: str = self.place.run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile", "root.pem",
            "-cert", f"{name}.pem", "-key", f"{name}.key", version, "-quiet", "-ign_eof",
            stdin=connect, cwd=self.place.folder,
        ).output  # fmt: skip
        return output


@pytest.fixture
def clients(place: Place, start_broker: Any) -> Clients:
    return Clients(place, start_broker)


def test_a_revoked_client(clients: Clients) -> None:
    broker = clients.start()
    for version in ("tlsv1.2", "tlsv1.3"):
        assert clients.publish("good", version).status == 0
    # The first is held until the responder has answered, the others are known as revoked.
    assert "alert number 44" in clients.handshake("bad", "-tls1_2")
    assert "alert number 44" in clients.handshake("bad", "-tls1_2")
    assert "alert number 44" in clients.handshake("bad", "-tls1_3")
    assert clients.publish("bad").status != 0
    clients.handshake("worse", "-tls1_3")  # held, in TLS 1.3
    assert "revoked on 2" in broker.wait_for("CN=worse")
    asked = [path for _, path in clients.responder.requests]
    assert len(asked) == len(set(asked)) == 3, "one request for each certificate"
    line = broker.wait_for("TLS handshake refused")
    assert "revoked on 2" in line
    assert "keyCompromise" in line
    assert "CN=bad" in line
    broker.stop()
    received = [line for line in broker.lines if "RECV CONNECT" in line]
    assert len(received) == 2, "no byte of MQTT of the revoked client was looked at"


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_a_client_is_held_until_the_answer_comes(
    clients: Clients, spawn: Any, version: str
) -> None:
    broker = clients.start(", timeout = 20s")
    clients.responder.open.clear()
    folder = clients.place.folder
    held = spawn(
        "mosquitto_pub", "-h", "localhost", "-p", clients.port, "-t", "t", "-m", "x", "-q", "1",
        "--cafile", folder / "root.pem", "--tls-version", version,
        "--cert", folder / "good.pem", "--key", folder / "good.key",
    )  # fmt: skip
    assert clients.responder.asked.wait(20)
    assert held.poll() is None
    clients.responder.open.set()
    assert held.wait(20) == 0
    broker.wait_for("RECV PUBLISH")
    broker.stop()


def test_a_responder_that_fails(clients: Clients) -> None:
    """Each client has its first contact while the responder fails in another way."""
    responder = clients.responder
    broker = clients.start(", timeout = 1s")
    stranger = clients.place.new_responder(clients.place.pki.root, clients.good)

    def refused(cause: str) -> None:
        issued = clients.new(cause)
        stranger.good(issued.cert)
        if cause == "ocsp-unknown":
            responder.forget(issued.cert)
        assert clients.publish(cause).status != 0
        line = broker.wait_for(f"CN={cause}")
        assert "TLS handshake refused" in line
        assert line.endswith(f"[{cause}]")

    responder.lie = lambda asked, truth: (200, b"<html>log in</html>")
    refused("ocsp-garbage")
    responder.lie = lambda asked, truth: (200, stranger.answer(asked))
    refused("ocsp-bad-signature")
    responder.lie = None
    refused("ocsp-unknown")
    responder.open.clear()
    refused("ocsp-timeout")
    responder.close()
    refused("ocsp-unreachable")
    broker.stop()
    assert not any("RECV CONNECT" in line for line in broker.lines)


def test_soft_lets_in_with_a_warning(clients: Clients) -> None:
    broker = clients.start(", mode = soft")
    assert clients.publish("bad").status != 0
    clients.responder.close()
    assert clients.publish("good").status == 0
    assert "[warning]" in broker.wait_for("clients are let in unchecked")
    assert clients.publish("bad").status != 0, "what is known as revoked stays so"
    broker.stop()


def test_a_live_session_ends_when_its_certificate_is_revoked(clients: Clients, spawn: Any) -> None:
    broker = clients.start(", cache = 2s")
    spawn(
        "mosquitto_sub", "-h", "localhost", "-p", clients.port, "-t", "t", "-i", "live",
        "--cafile", clients.place.folder / "root.pem", "-V", "5",
        "--cert", clients.place.folder / "good.pem", "--key", clients.place.folder / "good.key",
    )  # fmt: skip
    broker.wait_for("SEND SUBACK")
    clients.responder.revoke(clients.good.cert)
    line = broker.wait_for("session ended", 10)
    assert "client live" in line
    assert "revoked on 2" in line
    line = broker.wait_for("SEND DISCONNECT")
    assert "ReasonCode=135, Properties={reason_string=client certificate revoked}" in line
    broker.stop()
    assert not any("Starting factory" in line for line in broker.lines)
