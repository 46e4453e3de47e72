"""Two channels joined in memory, and a folder with certificate files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

from mqttd.tls.channel import TLSChannel
from mqttd.tls.context import ServerContext
from mqttd.tls.listener_context import ListenerTLS

if TYPE_CHECKING:
    from tests.conftest import Pki


class Joined:
    """A client and a server channel with a wire between them."""

    def __init__(self, client: TLSChannel, server: TLSChannel) -> None:
        self.client = client
        self.server = server
        self.to_server = b""
        self.to_client = b""

    def run(self, chunk: int = 1 << 20) -> None:
        """Carry bytes to and fro until both are silent."""
        self.client.start()
        while True:
            up, down = self.client.outgoing(), self.server.outgoing()
            if not up and not down:
                return
            for at in range(0, len(up), chunk):
                self.to_server += self.server.receive(up[at : at + chunk])
            for at in range(0, len(down), chunk):
                self.to_client += self.client.receive(down[at : at + chunk])


@pytest.fixture(scope="session")
def join() -> Callable[..., Joined]:
    """Make a client and a server channel from two Contexts."""

    def make(
        client: SSL.Context, server: ServerContext | ListenerTLS, host: bytes = b"localhost"
    ) -> Joined:
        return Joined(TLSChannel(client, server=False, server_hostname=host), TLSChannel(server))

    return make


@pytest.fixture
def folder(tmp_path: Path, pki: Pki, make_cert_pem: Callable[..., str]) -> Path:
    """A folder with key.pem, cert.pem and cacert.pem."""
    (tmp_path / "key.pem").write_text(pki.ec.key_pem)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "cert.pem").write_text(pki.ec.chain_pem)
    (tmp_path / "cacert.pem").write_text(make_cert_pem(pki.root.cert))
    return tmp_path
