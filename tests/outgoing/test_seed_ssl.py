"""The seeds' ``ssl`` section, as it stands, with a real server that wants a certificate."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.config.hocon import read_text
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.structure import structure
from mqttd.outgoing.http import FetchError, HTTPClient
from mqttd.outgoing.tls import build_client_tls, check_client_tls

SEEDS = Path(os.environ.get("MQTTD_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))


def _sections() -> list[str]:
    """Each block with an ``authentication`` that has an ``ssl`` section."""
    return [
        "\n".join(line for line in textwrap.dedent(block).splitlines() if line.strip() != "...")
        for path in sorted(SEEDS.glob("*.txt"))
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if "authentication {" in block and "ssl {" in block
    ]


SECTIONS = _sections() if SEEDS.is_dir() else []


@pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)
def test_there_are_sections() -> None:
    assert len(SECTIONS) == 2


@pytest.mark.parametrize("text", SECTIONS, ids=range(len(SECTIONS)))
def test_the_section_works_as_it_stands(
    text: str,
    tmp_path: Path,
    serve: Callable[..., Any],
    pki: Any,
    make_cert_pem: Callable[..., str],
    live_reactor: Any,
    settle: Callable[..., Any],
) -> None:
    section = read_text(text).values["authentication"]
    assert section["url"] == "https://127.0.0.1:8080"
    options, findings = structure(section["ssl"], ClientTLSOptions, tmp_path, "ssl")
    assert findings == []
    (tmp_path / "etc/certs").mkdir(parents=True)
    for name, pem in (
        ("cacert.pem", make_cert_pem(pki.root.cert)),
        ("cert.pem", pki.client_ec.chain_pem),
        ("key.pem", pki.client_ec.key_pem),
    ):
        (tmp_path / "etc/certs" / name).write_text(pem)
    (tmp_path / "etc/certs/key.pem").chmod(0o600)
    assert check_client_tls(options, "ssl", tmp_path) == []
    client = HTTPClient(live_reactor, build_client_tls(options, tmp_path))
    try:
        # Only the port is another: 8080 may be somebody else's.
        server = serve(pki.ec, clients=pki.root.cert)
        answer = settle(client.fetch(server.url(host="127.0.0.1"), timeout=5, max_size=100))
        assert answer.status == 200
        untrusted = serve(pki.other_root.issue(), clients=pki.root.cert)
        with pytest.raises(FetchError, match="not issued by a trusted authority"):
            settle(client.fetch(untrusted.url(host="127.0.0.1"), timeout=5, max_size=100))
    finally:
        settle(client.close())
