"""A real OCSP responder: ``openssl ocsp`` behind an HTTP server on loopback, which can lie."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

Reply = tuple[int, bytes]
"""HTTP status and body."""


class Responder:
    """Knows the certificates of one authority; ``signer`` signs, by default the authority itself.

    ``lie`` answers in its place when it is set: a function of the request and of the true answer.
    While ``open`` is not set, requests wait.
    """

    def __init__(self, folder: Path, authority: Any, signer: Any = None) -> None:
        signer = signer or authority
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.pem").write_bytes(authority.cert.public_bytes(Encoding.PEM))
        (folder / "signer.pem").write_bytes(signer.cert.public_bytes(Encoding.PEM))
        (folder / "signer.key").write_text(signer.key_pem)
        (folder / "index.txt").write_text("")
        (folder / "index.txt.attr").write_text("unique_subject = no\n")
        self._lines: dict[int, str] = {}
        self.lie: Callable[[bytes, Callable[[], bytes]], Reply] | None = None
        self.options: tuple[str, ...] = ("-nmin", "60")
        self.requests: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.tls: tuple[str, str] | None = None
        """Files of a certificate and its key: answer over https."""
        self.asked = threading.Event()
        """Set when the first request over HTTP came."""
        self.open = threading.Event()
        self.open.set()
        self._server: http.server.ThreadingHTTPServer | None = None

    def good(self, certificate: x509.Certificate) -> None:
        """Say of the certificate that it is good."""
        self._write(certificate, "V", "")

    def revoke(self, certificate: x509.Certificate, reason: str = "keyCompromise") -> None:
        """Say of the certificate that it was revoked an hour ago."""
        hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        self._write(certificate, "R", f"{_stamp(hour_ago)},{reason}")

    def forget(self, certificate: x509.Certificate) -> None:
        """Know nothing of the certificate."""
        self._lines.pop(certificate.serial_number, None)
        self._save()

    def answer(self, request: bytes) -> bytes:
        """What openssl answers."""
        asked, answered = self._folder / "request.der", self._folder / "response.der"
        asked.write_bytes(request)
        command = "openssl ocsp -index index.txt -CA ca.pem -rsigner signer.pem -rkey signer.key"
        subprocess.run(
            [*command.split(), "-reqin", str(asked), "-respout", str(answered), *self.options],
            cwd=self._folder,
            check=True,
            capture_output=True,
            timeout=20,
        )
        return answered.read_bytes()

    def reply(self, method: str, path: str, body: bytes) -> Reply:
        """The answer to one HTTP request."""
        self.requests.append((method, path))
        if method == "GET":
            body = base64.b64decode(unquote(path.partition("?")[0].rpartition("/")[2]))
        if self.lie is not None:
            return self.lie(body, lambda: self.answer(body))
        return 200, self.answer(body)

    @property
    def url(self) -> str:
        """Where it listens; the server is started when this is asked for."""
        if self._server is None:
            self._server = self._listen()
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Be down."""
        self.open.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _listen(self) -> http.server.ThreadingHTTPServer:
        responder = self
        turn = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                responder.asked.set()
                responder.open.wait(20)
                length = int(self.headers.get("Content-Length") or 0)
                with turn:
                    status, body = responder.reply(
                        self.command, self.path, self.rfile.read(length)
                    )
                self.send_response(status)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *arguments: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # who asked has gone
                    super().handle()

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _write(self, certificate: x509.Certificate, flag: str, revoked: str) -> None:
        end = _stamp(certificate.not_valid_after_utc)
        serial = f"{certificate.serial_number:X}"
        serial = serial.zfill(len(serial) + len(serial) % 2)
        line = f"{flag}\t{end}\t{revoked}\t{serial}\tunknown\t/CN=x\n"
        self._lines[certificate.serial_number] = line
        self._save()

    def _save(self) -> None:
        (self._folder / "index.txt").write_text("".join(self._lines.values()))


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%y%m%d%H%M%SZ")
