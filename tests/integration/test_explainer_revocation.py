"""Each reason a client is refused for by the checks of revocation, shown with openssl s_client."""

from __future__ import annotations

import datetime
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.certs.authority import Authority, create_authority
from mqttd.explain.causes import CAUSES
from mqttd.tls.issue import CLIENT, SERVER, Wanted, alternative_name

CONFIG = """
listeners.ssl.crl {
  bind = "127.0.0.1:0"
  ssl_options { @server@, enable_crl_check = true }
}
listeners.ssl.ocsp {
  bind = "127.0.0.1:0"
  ssl_options { @server@, ocsp_client { enable = true, timeout = 1s } }
}
crl_cache { files = ["home/crl.pem"], http_timeout = 1s, max_size = 20KB }
log.console.level = info
"""
SERVER_FILES = (
    "keyfile = server.key, certfile = server.pem, cacertfile = cas.pem, verify = verify_peer"
)
DAY = datetime.timedelta(days=1)
ANSWERS = {
    "/garbage": b"<html>please log in</html>",
    "/large": b"\x30" * 30_000,
    "/ocsp-garbage": b"<html>please log in</html>",
    "/ocsp-later": b"\x30\x03\x0a\x01\x03",
    "/ocsp-unauthorized": b"\x30\x03\x0a\x01\x06",
}
"""What a web server says; the last two are OCSP responses that only say no (RFC 6960 2.3)."""


class Web:
    """A web server on this machine that says what it was told to."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.over = threading.Event()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("slow"):
                    web.over.wait(20)
                # OCSP by GET has the question behind the path.
                found = (web.answers[path] for path in web.answers if self.path.startswith(path))
                answer = next(found, b"")
                self.send_response(200 if answer else 404)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def crl(authority: Authority, issued: float, ends: float) -> bytes:
    """A list with dates in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now + issued * DAY)
        .next_update(now + ends * DAY)
    )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Authority]:
    folder = tmp_path_factory.mktemp("revocation")
    return {
        name: create_authority(folder / name, name, days=9, key_kind="ec")
        for name in ("home", "away")
    }


@pytest.fixture(scope="module")
def broker(authorities: dict[str, Authority], web: Web, start_broker: Any) -> Any:
    """Two listeners; certificates of ``home`` have a list, those of ``away`` ask the web."""
    home, away = authorities["home"], authorities["away"]
    folder = home.folder.parent
    names = [alternative_name("localhost")]
    wanted = Wanted(days=9, usage=SERVER, names=names)
    home.issue("localhost", wanted, key_kind="ec", out=folder / "server")
    client = Wanted(days=9, usage=CLIENT)
    pem, _ = home.issue("revoked", client, key_kind="ec", out=folder / "revoked")
    home.revoke(x509.load_pem_x509_certificate(pem.read_bytes()).serial_number, "superseded")
    home.make_crl(9)
    away.issue("nowhere", client, key_kind="ec", out=folder / "nowhere")
    web.answers["/signature"] = crl(Authority(away.folder, away.certificate, home.key), -1, 1)
    web.answers["/issuer"] = crl(home, -1, 1)
    web.answers["/expired"] = crl(away, -2, -1)
    web.answers["/early"] = crl(away, 1, 2)
    web.answers["/scope"] = away.make_crl(9, url="http://elsewhere.example/").public_bytes(
        Encoding.DER
    )
    cas = (home.folder / "ca.pem").read_text() + (away.folder / "ca.pem").read_text()
    (folder / "cas.pem").write_text(cas)
    return start_broker(CONFIG.replace("@server@", SERVER_FILES), folder)


def refusal(broker: Any, run: Any, listener: str, name: str, version: str = "1_2") -> str:
    """The one line the broker writes of a client with that certificate."""
    broker.lines.clear()
    folder: Path = broker.folder
    run(
        "openssl", "s_client", "-connect", f"localhost:{broker.ports[listener]}", "-ign_eof",
        f"-tls{version}", "-CAfile", "home/ca.pem", "-cert", f"{name}.pem", "-key", f"{name}.key",
        cwd=folder,
    )  # fmt: skip
    line: str = broker.wait_for(f"TLS handshake refused on {listener} from 127.0.0.1:")
    assert f"certificate CN={name}, serial " in line
    assert f"; offered TLS {version.replace('_', '.')} and " in line
    assert sum(" refused on " in each for each in broker.lines) == 1
    kind = re.search(r"\. Cure: (.+) \[([a-z-]+)\]$", line)
    assert kind is not None
    assert CAUSES[kind[2]].cure == kind[1]
    assert CAUSES[kind[2]].words in line
    return line


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_revoked_says_when_and_why(broker: Any, run: Any, version: str) -> None:
    line = refusal(broker, run, "ssl:crl", "revoked", version)
    assert line.endswith("[revoked]")
    assert re.search(r"\d{4}-\d\d-\d\d", line)
    assert "superseded" in line


def test_no_distribution_point(broker: Any, run: Any) -> None:
    assert refusal(broker, run, "ssl:crl", "nowhere").endswith("[no-distribution-point]")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/none", "crl-unreachable"),
        (None, "crl-unreachable"),
        ("/slow", "crl-timeout"),
        ("/garbage", "crl-garbage"),
        ("/large", "crl-too-large"),
        ("/signature", "crl-bad-signature"),
        ("/issuer", "crl-bad-issuer"),
        ("/expired", "crl-expired"),
        ("/early", "crl-not-yet-valid"),
        ("/scope", "crl-bad-scope"),
    ],
)
def test_lists(
    broker: Any, run: Any, authorities: dict[str, Authority], web: Web, path: str | None, kind: str
) -> None:
    url = "http://127.0.0.1:1/x.crl" if path is None else web.url + path
    name = kind + ("" if path else "-closed")
    wanted = Wanted(days=9, usage=CLIENT, crl_url=url)
    authorities["away"].issue(name, wanted, key_kind="ec", out=broker.folder / name)
    line = refusal(broker, run, "ssl:crl", name)
    assert line.endswith(f"[{kind}]")
    assert ("it is a web page, no CRL" in line) == (path == "/garbage")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (None, "no-responder"),
        ("http://127.0.0.1:1/", "ocsp-unreachable"),
        ("/ocsp-slow", "ocsp-timeout"),
        ("/ocsp-garbage", "ocsp-garbage"),
        ("/ocsp-later", "ocsp-try-later"),
        ("/ocsp-unauthorized", "ocsp-unauthorized"),
    ],
)
def test_responders(
    broker: Any, run: Any, authorities: dict[str, Authority], web: Web, url: str | None, kind: str
) -> None:
    if url is not None and url.startswith("/"):
        url = web.url + url
    wanted = Wanted(days=9, usage=CLIENT, ocsp_url=url)
    authorities["away"].issue(kind, wanted, key_kind="ec", out=broker.folder / kind)
    assert refusal(broker, run, "ssl:ocsp", kind).endswith(f"[{kind}]")
