"""One-way and two-way TLS with clients we did not write, over every kind of option."""

from __future__ import annotations

import datetime
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

CONNACK = b"\x20\x02\x00\x00"
REFUSED = b"\x20\x02\x00\x05"

CONFIG = """
listeners.ssl.one_ec { bind = "127.0.0.1:0", ssl_options { @ec@ } }
listeners.ssl.one_rsa { bind = "127.0.0.1:0", ssl_options { @rsa@ } }
listeners.ssl.two_ec { bind = "127.0.0.1:0", ssl_options { @ec@, @peer@ } }
listeners.ssl.two_rsa { bind = "127.0.0.1:0", ssl_options { @rsa@, @peer@ } }
listeners.wss.two { bind = "127.0.0.1:0", ssl_options { @ec@, @peer@ } }
listeners.ssl.maybe {
  bind = "127.0.0.1:0", ssl_options { @ec@, @peer@, fail_if_no_peer_cert = false }
}
listeners.ssl.shallow { bind = "127.0.0.1:0", ssl_options { @ec@, @peer@, depth = 0 } }
listeners.ssl.password {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = locked.key, certfile = ec.pem, password = "a long password" }
}
listeners.ssl.passfile {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = locked.key, certfile = ec.pem, password = "file://password.txt" }
}
listeners.ssl.text {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = @key_text@, certfile = @cert_text@ }
}
listeners.ssl.list {
  bind = "127.0.0.1:0"
  ssl_options {
    @ec@
    ciphers = [TLS_AES_128_GCM_SHA256, ECDHE-ECDSA-AES128-GCM-SHA256, NO-SUCH-SUITE]
  }
}
listeners.ssl.comma {
  bind = "127.0.0.1:0"
  ssl_options {
    @ec@
    ciphers = "TLS_CHACHA20_POLY1305_SHA256,ECDHE-ECDSA-AES256-GCM-SHA384,NOR-THIS-ONE"
  }
}
listeners.ssl.mine {
  bind = "127.0.0.1:0"
  ssl_options {
    @ec@, ciphers = [ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-ECDSA-AES128-GCM-SHA256]
    versions = [tlsv1.2]
  }
}
listeners.ssl.yours {
  bind = "127.0.0.1:0"
  ssl_options {
    @ec@, ciphers = [ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-ECDSA-AES128-GCM-SHA256]
    versions = [tlsv1.2], honor_cipher_order = false
  }
}
listeners.ssl.dhe {
  bind = "127.0.0.1:0"
  ssl_options {
    @rsa@, dhfile = dh.pem, versions = "tlsv1.2", ciphers = [DHE-RSA-AES128-GCM-SHA256]
  }
}
listeners.ssl.old {
  bind = "127.0.0.1:0", ssl_options { @rsa@, versions = "tlsv1.2,tlsv1.1,tlsv1" }
}
listeners.ssl.new { bind = "127.0.0.1:0", ssl_options { @ec@, versions = [tlsv1.3] } }
listeners.ssl.hurry { bind = "127.0.0.1:0", ssl_options { @ec@, handshake_timeout = 1s } }
"""
EC = "keyfile = ec.key, certfile = ec.pem, cacertfile = root.pem"
RSA = "keyfile = rsa.key, certfile = rsa.pem, cacertfile = root.pem"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def made(
    start_broker: Any,
    pki: Any,
    make_cert_pem: Any,
    make_key_pem: Any,
    tmp_path_factory: pytest.TempPathFactory,
    run: Any,
) -> Any:
    """One broker with a listener for each case; its folder holds the clients' files too."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.UTC)
    clients = {
        "client-ec": pki.client_ec,
        "client-rsa": pki.client_rsa,
        "stranger": pki.stranger,
        "expired": pki.root.client(
            "late", begin=now - datetime.timedelta(9), end=now - datetime.timedelta(1)
        ),
        "early": pki.root.client(
            "early", begin=now + datetime.timedelta(1), end=now + datetime.timedelta(9)
        ),
        "deep": pki.intermediate.client("deep"),
    }
    for name, issued in {"ec": pki.ec, "rsa": pki.rsa, **clients}.items():
        (folder / f"{name}.pem").write_text(issued.chain_pem)
        (folder / f"{name}.key").touch(0o600)
        (folder / f"{name}.key").write_text(issued.key_pem)
    (folder / "root.pem").write_text(make_cert_pem(pki.root.cert))
    (folder / "locked.key").touch(0o600)
    (folder / "locked.key").write_text(make_key_pem(pki.ec.key, "a long password"))
    (folder / "password.txt").touch(0o600)
    (folder / "password.txt").write_text("a long password\n")
    run(
        "openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048",
        "-out", folder / "dh.pem",
    )  # fmt: skip
    config = CONFIG
    for name, text in {
        "ec": EC,
        "rsa": RSA,
        "peer": "verify = verify_peer",
        "key_text": f'"""{pki.ec.key_pem}"""',
        "cert_text": f'"""{pki.ec.chain_pem}"""',
    }.items():
        config = config.replace(f"@{name}@", text)
    return start_broker(config, folder)


def context(folder: Path, certificate: str | None = None, version: str | None = None) -> Any:
    """A client that trusts our root and checks the host name."""
    made = ssl.create_default_context(cafile=str(folder / "root.pem"))
    if version is not None:
        made.minimum_version = made.maximum_version = VERSIONS[version]
    if certificate is not None:
        made.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    return made


def is_let_in(made: Any, dial: Any, listener: str, certificate: str | None, **more: Any) -> bool:
    """Whether CONNACK comes; the listener refuses with an alert or a close otherwise."""
    try:
        client = dial(made.ports[listener], context(made.folder, certificate, **more))
        return bool(client.ask() == CONNACK)
    except ssl.SSLError:
        return False


# --- versions, keys and certificates --------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("server", ["ec", "rsa"])
def test_one_way_tls_with_mosquitto(made: Any, run: Any, server: str, version: str) -> None:
    done = run(
        "mosquitto_pub", "-h", "localhost", "-p", made.ports[f"ssl:one_{server}"],
        "--cafile", made.folder / "root.pem", "--tls-version", f"tlsv{version}",
        "-t", "t", "-m", "x", "-q", 1, "-i", f"one-{server}-{version}",
    )  # fmt: skip
    assert (done.status, done.output) == (0, "")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("server", ["ec", "rsa"])
@pytest.mark.parametrize("client", ["ec", "rsa"])
def test_two_way_tls_with_mosquitto(
    made: Any, run: Any, server: str, client: str, version: str
) -> None:
    done = run(
        "mosquitto_pub", "-h", "localhost", "-p", made.ports[f"ssl:two_{server}"],
        "--cafile", made.folder / "root.pem", "--tls-version", f"tlsv{version}",
        "--cert", made.folder / f"client-{client}.pem",
        "--key", made.folder / f"client-{client}.key",
        "-t", "t", "-m", "x", "-q", 1, "-i", f"two-{server}-{client}-{version}",
    )  # fmt: skip
    assert (done.status, done.output) == (0, "")


@pytest.mark.parametrize("version", ["1_2", "1_3"])
@pytest.mark.parametrize("server", ["ec", "rsa"])
def test_two_way_tls_and_the_whole_chain_with_s_client(
    made: Any, run: Any, server: str, version: str
) -> None:
    done = run(
        "openssl", "s_client", "-connect", f"localhost:{made.ports[f'ssl:two_{server}']}",
        f"-tls{version}", "-CAfile", made.folder / "root.pem", "-showcerts",
        "-verify_return_error", "-verify_hostname", "localhost",
        "-cert", made.folder / "client-ec.pem", "-key", made.folder / "client-ec.key",
        stdin=b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a",
    )  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.output
    assert done.output.count("BEGIN CERTIFICATE") >= 2  # the leaf and the intermediate
    assert "Acceptable client certificate CA names\nCN = Test Root" in done.output


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_one_way_tls_with_gnutls(made: Any, run: Any, version: str) -> None:
    done = run(
        "gnutls-cli", "--x509cafile", made.folder / "root.pem",
        "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--alpn", "mqtt",
        "--port", made.ports["ssl:one_ec"], "localhost",
    )  # fmt: skip
    assert "The certificate is trusted" in done.output
    assert f"(TLS{version}-" in done.output
    assert "Application protocol: mqtt" in done.output
    assert "Handshake was completed" in done.output


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("listener", ["ssl:two_ec", "wss:two"])
@pytest.mark.parametrize("certificate", [None, "stranger", "expired", "early"])
def test_verify_peer_refuses(
    made: Any, dial: Any, listener: str, certificate: str | None, version: str
) -> None:
    assert not is_let_in(made, dial, listener, certificate, version=version)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (None, "certificate"),
        ("stranger", "stranger"),
        ("expired", "expired"),
    ],
)
def test_the_log_says_why_a_certificate_is_refused(
    made: Any, dial: Any, certificate: str | None, words: str
) -> None:
    assert not is_let_in(made, dial, "ssl:two_rsa", certificate)
    line = made.wait_for("TLS handshake refused on ssl:two_rsa from 127.0.0.1")
    made.lines.clear()
    assert words in line


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_without_fail_if_no_peer_cert_a_client_may_have_none(
    made: Any, dial: Any, version: str
) -> None:
    assert is_let_in(made, dial, "ssl:maybe", None, version=version)
    assert is_let_in(made, dial, "ssl:maybe", "client-ec", version=version)
    assert not is_let_in(made, dial, "ssl:maybe", "stranger", version=version)


def test_a_client_brings_its_intermediate(made: Any, dial: Any) -> None:
    assert is_let_in(made, dial, "ssl:two_ec", "deep")


def test_depth_0_allows_no_intermediate(made: Any, dial: Any) -> None:
    assert is_let_in(made, dial, "ssl:shallow", "client-ec")
    assert not is_let_in(made, dial, "ssl:shallow", "deep")


# --- where the key is -----------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["ssl:password", "ssl:passfile", "ssl:text"])
def test_encrypted_keys_and_pem_texts(made: Any, dial: Any, listener: str) -> None:
    assert is_let_in(made, dial, listener, None)


def test_no_secret_is_logged(made: Any) -> None:
    assert not any("a long password" in line for line in made.lines)
    assert not any("PRIVATE KEY" in line for line in made.lines)


# --- suites and versions --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "version", "suite"),
    [
        ("ssl:list", "1.3", "TLS_AES_128_GCM_SHA256"),
        ("ssl:list", "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("ssl:comma", "1.3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("ssl:comma", "1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ],
)
def test_only_listed_suites_are_used(
    made: Any, dial: Any, listener: str, version: str, suite: str
) -> None:
    client = dial(made.ports[listener], context(made.folder, version=version))
    assert client.socket.cipher()[0] == suite
    assert client.ask() == CONNACK


@pytest.mark.parametrize(("listener", "bits"), [("ssl:mine", 256), ("ssl:yours", 128)])
def test_whose_order_of_suites_counts(made: Any, dial: Any, listener: str, bits: int) -> None:
    own = context(made.folder, version="1.2")
    own.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert dial(made.ports[listener], own).socket.cipher()[2] == bits


def test_dhe_with_a_dhfile(made: Any, run: Any) -> None:
    done = run(
        "openssl", "s_client", "-connect", f"localhost:{made.ports['ssl:dhe']}", "-tls1_2",
        "-cipher", "DHE-RSA-AES128-GCM-SHA256", "-CAfile", made.folder / "root.pem",
    )  # fmt: skip
    assert "Server Temp Key: DH, 2048 bits" in done.output
    assert "Verify return code: 0 (ok)" in done.output


@pytest.mark.parametrize("version", ["1", "1_1", "1_2"])
def test_old_versions_when_they_are_listed(made: Any, run: Any, version: str) -> None:
    done = run(
        "openssl", "s_client", "-connect", f"localhost:{made.ports['ssl:old']}",
        f"-tls{version}", "-cipher", "DEFAULT@SECLEVEL=0", "-CAfile", made.folder / "root.pem",
    )  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.output
    name = {"1": "TLSv1", "1_1": "TLSv1.1", "1_2": "TLSv1.2"}[version]
    assert f"Protocol  : {name}\n" in done.output


@pytest.mark.parametrize(("listener", "version"), [("ssl:old", "1.3"), ("ssl:new", "1.2")])
def test_versions_that_are_not_listed(made: Any, dial: Any, listener: str, version: str) -> None:
    assert not is_let_in(made, dial, listener, None, version=version)


def test_a_handshake_that_does_not_come_is_ended(made: Any, dial: Any) -> None:
    client = dial(made.ports["ssl:hurry"])
    assert client.read(1) == b""
    assert "[timeout-tls]" in made.wait_for("refused on ssl:hurry from 127.0.0.1")


def test_names_of_suites_that_do_not_exist_are_in_a_warning(made: Any, run: Any) -> None:
    mqttd = Path(sys.executable).parent / "mqttd"
    done = run(mqttd, "check", "--config", made.folder / "mqttd.conf", cwd=made.folder)
    assert done.status == 0
    assert "NO-SUCH-SUITE" in done.output
    assert "NOR-THIS-ONE" in done.output
