"""What is waited for before listening, what operators see, and what is found before the start."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from twisted.logger import formatEvent

from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.config.schema.tls import OcspOptions
from mqttd.revocation.ocsp_findings import check_ocsp_client
from mqttd.revocation.stapling import StapleState, check_stapling, find_issuer

HOUR = 3600.0
URL = "http://ocsp.example/"


@pytest.fixture
def world(stapling_world: Any) -> Any:
    return stapling_world


def with_extension(pki: Any, extension: x509.ExtensionType) -> Any:
    return pki.intermediate.issue(extra=[extension])


def test_a_must_staple_certificate_is_fetched_for_before_listening(
    world: Any, must_staple: Any
) -> None:
    world.responder.good(must_staple.cert)
    world.add()
    world.add(must_staple)
    world.fetcher.hold = True
    done: list[object] = []
    world.stapler.first_fetch().addCallback(done.append)
    assert not done
    assert len(world.fetcher.fetched) == 1, "the other certificate is not waited for"
    world.stapler.start()
    world.fetcher.release()
    assert len(done) == 1
    assert world.staple(must_staple) == "GOOD"
    assert world.stapler.list()[1].must_staple


def test_without_a_response_it_is_an_error_line_and_the_start_goes_on(
    world: Any, must_staple: Any
) -> None:
    world.fetcher.down = "timeout"
    world.add(must_staple)
    done: list[object] = []
    world.stapler.first_fetch().addCallback(done.append)
    assert len(done) == 1
    (line,) = world.lines("error")
    assert "must-staple" in line
    assert "does not answer" in line


def test_nothing_is_waited_for_with_a_kept_response_or_without_must_staple(
    world: Any, must_staple: Any
) -> None:
    world.responder.good(must_staple.cert)
    world.add(must_staple)
    world.stapler.first_fetch()
    world.new()
    world.fetcher.hold = True
    world.add(must_staple)
    world.add()
    done: list[object] = []
    world.stapler.first_fetch().addCallback(done.append)
    assert len(done) == 1


# --- for operators -----------------------------------------------------------------------------


def test_the_list_can_be_written_as_json(world: Any) -> None:
    import attrs

    world.add(responder_url="http://ocsp.example/a?key=secret")
    world.stapler.start()
    shown = attrs.asdict(world.state())
    assert "secret" not in json.dumps(shown)
    assert shown["subject"] == "CN=localhost"
    assert shown["url"] == "http://ocsp.example/a"
    assert shown["status"] == "good"
    begin = datetime.datetime.fromisoformat(shown["this_update"])
    end = datetime.datetime.fromisoformat(shown["next_update"])
    assert end - begin == datetime.timedelta(hours=1)
    assert shown["last_error"] == ""
    assert "secret" not in "".join(formatEvent(event) for event in world.log)


def test_refresh_asks_for_all_now(world: Any) -> None:
    world.add()
    world.stapler.start()
    world.responder.revoke(world.pki.ec.cert)
    states: list[list[StapleState]] = []
    world.stapler.refresh().addCallback(states.append)
    assert [state.status for state in states[0]] == ["revoked"]
    assert len(world.clock.getDelayedCalls()) == 1


# --- findings ----------------------------------------------------------------------------------

PATH = "listeners.ssl.default.ssl_options.ocsp"


def found(options: OcspOptions, chain: Any, issuer: Any) -> list[tuple[str, str, str]]:
    return [
        (each.severity, each.path.removeprefix(f"{PATH}."), each.message)
        for each in check_stapling(options, chain, issuer, PATH)
    ]


def test_nothing_to_say_of_good_options(pki: Any) -> None:
    chain = [pki.ec.cert, pki.intermediate.cert]
    on = OcspOptions(enable_ocsp_stapling=True, responder_url=URL)
    assert found(on, chain, pki.intermediate.cert) == []
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(URL)
            )
        ]
    )
    named = with_extension(pki, access)
    on = OcspOptions(enable_ocsp_stapling=True)
    assert found(on, [named.cert], pki.intermediate.cert) == []
    assert found(OcspOptions(), chain, None) == []


def test_every_mistake_is_found_in_one_run(pki: Any) -> None:
    on = OcspOptions(enable_ocsp_stapling=True)
    (url, issuer) = found(on, [pki.ec.cert], None)
    assert url[:2] == ("error", "responder_url")
    assert "names no OCSP responder" in url[2]
    assert issuer[:2] == ("error", "issuer_pem")
    assert "holds the issuer" in issuer[2]
    bad = OcspOptions(enable_ocsp_stapling=True, responder_url="ftp://h/")
    (url, issuer) = found(bad, [pki.ec.cert], pki.root.cert)
    assert "does not start with http" in url[2]
    assert "did not issue" in issuer[2]
    no_tls = OcspOptions(
        enable_ocsp_stapling=True, responder_url="https://h/", ssl=ClientTLSOptions(enable=False)
    )
    ((_, _, message),) = found(no_tls, [pki.ec.cert], pki.intermediate.cert)
    assert "ssl.enable" in message


def test_must_staple_without_stapling_is_a_warning(pki: Any, must_staple: Any) -> None:
    ((severity, option, message),) = found(OcspOptions(), [must_staple.cert], None)
    assert (severity, option) == ("warning", "enable_ocsp_stapling")
    assert "must-staple" in message


def test_where_the_issuer_comes_from(pki: Any, make_cert_pem: Any, tmp_path: Path) -> None:
    leaf, issuer, root = pki.ec.cert, pki.intermediate.cert, pki.root.cert
    both = tmp_path / "ca.pem"
    both.write_text(make_cert_pem(root, issuer))
    plain = OcspOptions()
    assert find_issuer(plain, [leaf, issuer], tmp_path, PATH) == (issuer, [])
    assert find_issuer(plain, [leaf], tmp_path, PATH) == (None, [])
    assert find_issuer(plain, [leaf], tmp_path, PATH, "ca.pem") == (issuer, [])
    assert find_issuer(plain, [leaf], tmp_path, PATH, "none.pem") == (None, [])
    given = OcspOptions(issuer_pem="ca.pem")
    assert find_issuer(given, [leaf], tmp_path, PATH) == (issuer, [])
    wrong = OcspOptions(issuer_pem=make_cert_pem(root))
    assert find_issuer(wrong, [leaf, issuer], tmp_path, PATH) == (root, [])
    missing = OcspOptions(issuer_pem="none.pem", enable_ocsp_stapling=True, responder_url=URL)
    nothing, findings = find_issuer(missing, [leaf, issuer], tmp_path, PATH)
    assert nothing is None
    assert [each.path for each in findings] == [f"{PATH}.issuer_pem"]
    assert check_stapling(missing, [leaf, issuer], None, PATH) == []


def test_the_address_of_the_responder_for_clients(pki: Any) -> None:
    path = "listeners.ssl.default.ssl_options.ocsp_client"
    no_tls = ClientTLSOptions(enable=False)
    for url, tls, words in (
        (None, None, ""),
        ("http://h/", no_tls, ""),
        ("h:80/", None, "does not start with http"),
        ("HTTPS://h/", no_tls, "ssl.enable"),
    ):
        options = OcspClientOptions(enable=True, responder_url=url, ssl=tls or ClientTLSOptions())
        found = [(each.path, words in each.message) for each in check_ocsp_client(options, path)]
        assert found == ([(f"{path}.responder_url", True)] if words else [])
    assert check_ocsp_client(OcspClientOptions(responder_url="h:80/"), path) == []
