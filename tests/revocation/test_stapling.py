"""Responses for our own certificates: fetched, kept, refreshed, dropped; never a wrong one."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.config.schema.tls import OcspOptions
from mqttd.revocation.ocsp_findings import check_ocsp_client
from mqttd.revocation.stapling import Stapler, StapleState, check_stapling, find_issuer

HOUR = 3600.0
URL = "http://ocsp.example/"


class World:
    """A stapler whose time stands still, and the responder it asks."""

    def __init__(self, pki: Any, responder: Any, fetcher: Any, wall: Any, folder: Path) -> None:
        self.pki = pki
        self.responder = responder
        self.fetcher = fetcher
        self.wall = wall
        self.folder = folder
        self.clock = Clock()
        self.log: list[Any] = []
        self.stapler = self.new()

    def new(self, *, keep: bool = True) -> Stapler:
        """A broker that was started again."""
        self.clock = Clock()
        self.stapler = Stapler(
            self.clock,
            self.folder if keep else None,
            lambda options: self.fetcher,
            wall=self.wall,
            in_thread=maybeDeferred,
        )
        return self.stapler

    def add(self, server: Any = None, issuer: Any = None, **options: Any) -> None:
        server = server or self.pki.ec
        issuer = issuer or self.pki.intermediate
        options.setdefault("responder_url", URL)
        chosen = OcspOptions(enable_ocsp_stapling=True, **options)
        self.stapler.add(server.cert, issuer.cert, chosen)

    def pass_time(self, seconds: float) -> None:
        self.wall.now += seconds
        self.clock.advance(seconds)

    def staple(self, server: Any = None) -> str:
        """The status stapled for a server certificate; empty for none."""
        der = self.stapler.response_for((server or self.pki.ec).cert)
        if not der:
            return ""
        response = ocsp.load_der_ocsp_response(der)
        assert response.serial_number == (server or self.pki.ec).cert.serial_number
        return response.certificate_status.name

    def lines(self, level: str) -> list[str]:
        return [formatEvent(e) for e in self.log if e["log_level"].name == level]

    def state(self) -> StapleState:
        (only,) = self.stapler.list()
        return only


@pytest.fixture
def world(
    pki: Any, ocsp_responder: Any, direct: Any, wall: Any, tmp_path: Path
) -> Iterator[World]:
    responder = ocsp_responder(pki.intermediate)
    responder.good(pki.ec.cert)
    made = World(pki, responder, direct(responder), wall, tmp_path / "ocsp")
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)


def with_extension(pki: Any, extension: x509.ExtensionType) -> Any:
    return pki.intermediate.issue(extra=[extension])


@pytest.fixture
def must_staple(pki: Any) -> Any:
    return with_extension(pki, x509.TLSFeature([x509.TLSFeatureType.status_request]))


def test_nothing_is_stapled_before_the_first_answer(world: World) -> None:
    world.add()
    assert world.staple() == ""
    assert world.state().status == "none"
    world.fetcher.hold = True
    world.stapler.start()
    assert world.staple() == ""
    world.fetcher.release()
    assert world.staple() == "GOOD"


def test_it_is_fetched_with_get_and_the_time_limit(world: World) -> None:
    world.add(refresh_http_timeout=7.5)
    world.stapler.start()
    ((method, url, limit),) = world.fetcher.fetched
    assert (method, limit) == ("GET", 7.5)
    assert url.startswith(URL + "M")


def test_post_when_get_is_refused(world: World) -> None:
    world.responder.lie = lambda request, truth: (
        (200, truth()) if world.fetcher.fetched[-1][0] == "POST" else (405, b"")
    )
    world.add()
    world.stapler.start()
    assert [method for method, *_ in world.fetcher.fetched] == ["GET", "POST"]
    assert world.fetcher.fetched[-1][1] == URL
    assert world.staple() == "GOOD"


def test_get_when_post_is_refused(world: World) -> None:
    world.responder.lie = lambda request, truth: (
        (200, truth()) if world.fetcher.fetched[-1][0] == "GET" else (404, b"<html>")
    )
    world.add(responder_url="http://h/" + "a" * 200)
    world.stapler.start()
    assert [method for method, *_ in world.fetcher.fetched] == ["POST", "GET"]
    assert world.staple() == "GOOD"


def test_it_is_refreshed_at_the_interval(world: World) -> None:
    world.add(refresh_interval=300.0)
    world.stapler.start()
    world.pass_time(299)
    assert len(world.fetcher.fetched) == 1
    world.pass_time(1)
    assert len(world.fetcher.fetched) == 2


def test_it_is_refreshed_at_half_of_the_remaining_life(world: World) -> None:
    world.responder.options = ("-nmin", "10")
    world.add(refresh_interval=HOUR)
    world.stapler.start()
    world.pass_time(295)
    assert len(world.fetcher.fetched) == 1
    world.pass_time(6)
    assert len(world.fetcher.fetched) == 2


def test_an_answer_that_ends_soon_does_not_make_us_ask_all_the_time(world: World) -> None:
    world.responder.options = ("-nmin", "1")
    truth = world.responder.answer
    kept: list[bytes] = []
    world.responder.lie = lambda request, _: (
        200,
        kept[0] if kept else kept.append(truth(request)) or kept[0],  # type: ignore[func-returns-value]
    )
    world.add()
    world.stapler.start()
    for _ in range(58):
        world.pass_time(1)
    assert len(world.fetcher.fetched) <= 8
    assert world.staple() == "GOOD"


@pytest.mark.parametrize("down", ["unreachable", "timeout", "tls", "too-large"])
def test_the_old_response_is_kept_while_it_lasts(world: World, down: str) -> None:
    world.add()
    world.stapler.start()
    world.fetcher.down = down
    world.pass_time(300)
    assert world.staple() == "GOOD"
    assert "does not answer" in world.state().last_error
    (line,) = world.lines("warn")
    assert "is stapled until 2" in line
    world.pass_time(HOUR - 310)
    assert world.staple() == "GOOD"
    world.pass_time(20)
    assert world.staple() == ""
    assert world.state().status == "none"
    world.pass_time(300)
    assert "nothing is stapled" in world.lines("warn")[-1]
    assert not world.lines("error")


def test_failures_are_tried_again_less_and_less_often(world: World) -> None:
    world.fetcher.down = "unreachable"
    world.add(refresh_interval=100.0)
    world.stapler.start()
    moments = []
    for second in range(1000):
        before = len(world.fetcher.fetched)
        world.pass_time(1)
        if len(world.fetcher.fetched) > before:
            moments.append(second)
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    assert moments[0] <= 5
    assert gaps[0] < gaps[1] < gaps[2]
    assert all(70 <= gap <= 101 for gap in gaps[5:])
    assert len(set(gaps[5:])) > 1, "a broker must not come back in step with others"
    world.fetcher.down = ""
    world.pass_time(101)
    assert world.staple() == "GOOD"
    assert world.state().last_error == ""
    assert any("is good" in line for line in world.lines("info"))


def changed(der: bytes) -> bytes:
    """With one bit of the signature turned."""
    signature = ocsp.load_der_ocsp_response(der).signature
    return der.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))


def lies(pki: Any) -> dict[str, Callable[[bytes, Callable[[], bytes]], tuple[int, bytes]]]:
    refused = ocsp.OCSPResponseBuilder.build_unsuccessful
    return {
        "garbage": lambda request, truth: (200, b"<html>welcome</html>"),
        "empty": lambda request, truth: (200, b""),
        "huge": lambda request, truth: (200, truth() + bytes(70_000)),
        "status 500": lambda request, truth: (500, truth()),
        "cut": lambda request, truth: (200, truth()[:-10]),
        "changed": lambda request, truth: (200, changed(truth())),
        "try later": lambda request, truth: (
            200,
            refused(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
        ),
        "unauthorized": lambda request, truth: (
            200,
            refused(ocsp.OCSPResponseStatus.UNAUTHORIZED).public_bytes(Encoding.DER),
        ),
    }


@pytest.mark.parametrize(
    "kind",
    ["garbage", "empty", "huge", "status 500", "cut", "changed", "try later", "unauthorized"],
)
def test_a_lying_responder_is_not_stapled(world: World, kind: str) -> None:
    world.responder.lie = lies(world.pki)[kind]
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert world.state().last_error
    world.responder.lie = None
    world.pass_time(5)
    assert world.staple() == "GOOD"
    world.responder.lie = lies(world.pki)[kind]
    world.pass_time(300)
    assert world.staple() == "GOOD"


def test_a_response_for_another_certificate_is_not_stapled(world: World) -> None:
    pki = world.pki
    world.responder.good(pki.rsa.cert)
    asked = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(pki.rsa.cert, pki.intermediate.cert, cast("Any", _sha1()))
        .build()
        .public_bytes(Encoding.DER)
    )
    other = world.responder.answer(asked)
    world.responder.lie = lambda request, truth: (200, other)
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert "another certificate" in world.state().last_error


def _sha1() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA1()


def test_a_response_of_another_signer_is_not_stapled(world: World, ocsp_responder: Any) -> None:
    stranger = ocsp_responder(world.pki.intermediate, world.pki.other_root)
    stranger.good(world.pki.ec.cert)
    world.fetcher.responder = stranger
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert "did not vouch" in world.state().last_error


def test_an_unknown_certificate_is_not_stapled_and_tried_again(world: World) -> None:
    world.responder.forget(world.pki.ec.cert)
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert "does not know" in world.lines("warn")[0]
    world.responder.good(world.pki.ec.cert)
    world.pass_time(5)
    assert world.staple() == "GOOD"


def test_our_own_revocation_is_an_alarm_at_each_refresh_and_is_stapled(world: World) -> None:
    world.add()
    world.stapler.start()
    world.responder.revoke(world.pki.ec.cert)
    world.pass_time(300)
    assert world.staple() == "REVOKED"
    assert world.state().status == "revoked"
    (line,) = world.lines("critical")
    assert "OUR OWN CERTIFICATE IS REVOKED: CN=localhost" in line
    assert "(keyCompromise)" in line
    world.pass_time(300)
    assert len(world.lines("critical")) == 2


def test_an_old_answer_played_back_does_not_hide_the_revocation(world: World) -> None:
    old: list[bytes] = []
    world.responder.lie = lambda request, truth: (200, old.append(truth()) or old[0])  # type: ignore[func-returns-value]
    world.add()
    world.stapler.start()
    assert world.staple() == "GOOD"
    revoked = _later_revoked(world.pki, world.wall())
    world.responder.lie = lambda request, truth: (200, revoked)
    world.pass_time(300)
    assert world.staple() == "REVOKED"
    world.responder.lie = lambda request, truth: (200, old[0])
    world.pass_time(300)
    assert world.staple() == "REVOKED"


def _later_revoked(pki: Any, now: float) -> bytes:
    from cryptography.hazmat.primitives import hashes

    moment = datetime.datetime.fromtimestamp(now, datetime.UTC) + datetime.timedelta(seconds=60)
    made = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=pki.ec.cert,
            issuer=pki.intermediate.cert,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.REVOKED,
            this_update=moment,
            next_update=moment + datetime.timedelta(hours=2),
            revocation_time=moment,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, pki.intermediate.cert)
        .sign(pki.intermediate.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


# --- over a restart and a reload ---------------------------------------------------------------


def test_a_restart_during_an_outage(world: World) -> None:
    world.add()
    world.stapler.start()
    world.stapler.stop()
    world.fetcher.down = "unreachable"
    world.new()
    world.add()
    assert world.staple() == "GOOD"
    world.stapler.start()
    world.pass_time(30)
    assert world.staple() == "GOOD"
    world.new(keep=False)
    world.add()
    assert world.staple() == ""


def test_what_is_kept_is_checked_like_what_is_fetched(world: World) -> None:
    world.add()
    world.stapler.start()
    (kept,) = world.folder.glob("*.ocsp")
    good = kept.read_bytes()
    for damaged in (b"", good[:-3], changed(good), bytes(100)):
        kept.write_bytes(damaged)
        world.new()
        world.add()
        assert world.staple() == ""
    kept.write_bytes(good)
    world.wall.now += 2 * HOUR
    world.new()
    world.add()
    assert world.staple() == ""
    assert not world.lines("error")


def test_a_removed_certificate_leaves_nothing(world: World) -> None:
    world.add()
    world.stapler.start()
    world.stapler.remove(world.pki.ec.cert)
    world.stapler.remove(world.pki.ec.cert)
    assert world.staple() == ""
    assert world.stapler.list() == []
    assert list(world.folder.iterdir()) == []
    assert world.clock.getDelayedCalls() == []


def test_a_reload_keeps_what_did_not_change(world: World) -> None:
    world.responder.good(world.pki.rsa.cert)
    world.add()
    world.add(world.pki.rsa)
    world.stapler.start()
    assert len(world.fetcher.fetched) == 2
    world.add()
    world.stapler.keep_only([world.pki.ec.cert])
    assert len(world.fetcher.fetched) == 2
    assert world.staple() == "GOOD"
    assert world.staple(world.pki.rsa) == ""


def test_new_options_ask_anew_and_keep_the_response_meanwhile(world: World) -> None:
    world.add()
    world.stapler.start()
    world.fetcher.hold = True
    world.add(responder_url="http://other.example/x")
    assert world.staple() == "GOOD"
    assert world.fetcher.fetched[-1][1].startswith("http://other.example/x/M")
    world.fetcher.release()
    assert world.staple() == "GOOD"
    assert world.state().url == "http://other.example/x"
    world.pass_time(300)
    assert len(world.fetcher.fetched) == 3, "the old options are no longer asked for"


def test_a_stop_ends_what_is_under_way(world: World) -> None:
    world.fetcher.hold = True
    world.add()
    world.stapler.start()
    world.stapler.stop()
    assert world.clock.getDelayedCalls() == []
    assert not world.lines("warn")


def test_certificates_do_not_get_each_others_response(world: World) -> None:
    world.responder.revoke(world.pki.rsa.cert)
    world.add()
    world.add(world.pki.rsa)
    world.stapler.start()
    assert world.staple() == "GOOD"
    assert world.staple(world.pki.rsa) == "REVOKED"
    assert world.stapler.response_for(world.pki.root.cert) == b""


# --- must-staple -------------------------------------------------------------------------------


def test_a_must_staple_certificate_is_fetched_for_before_listening(
    world: World, must_staple: Any
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
    world: World, must_staple: Any
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
    world: World, must_staple: Any
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


def test_the_list_can_be_written_as_json(world: World) -> None:
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


def test_refresh_asks_for_all_now(world: World) -> None:
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
