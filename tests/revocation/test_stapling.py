"""Responses for our own certificates: fetched, kept, refreshed, dropped; never a wrong one."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

HOUR = 3600.0
URL = "http://ocsp.example/"


@pytest.fixture
def world(stapling_world: Any) -> Any:
    return stapling_world


def test_nothing_is_stapled_before_the_first_answer(world: Any) -> None:
    world.add()
    assert world.staple() == ""
    assert world.state().status == "none"
    world.fetcher.hold = True
    world.stapler.start()
    assert world.staple() == ""
    world.fetcher.release()
    assert world.staple() == "GOOD"


def test_it_is_fetched_with_get_and_the_time_limit(world: Any) -> None:
    world.add(refresh_http_timeout=7.5)
    world.stapler.start()
    ((method, url, limit),) = world.fetcher.fetched
    assert (method, limit) == ("GET", 7.5)
    assert url.startswith(URL + "M")


def test_post_when_get_is_refused(world: Any) -> None:
    world.responder.lie = lambda request, truth: (
        (200, truth()) if world.fetcher.fetched[-1][0] == "POST" else (405, b"")
    )
    world.add()
    world.stapler.start()
    assert [method for method, *_ in world.fetcher.fetched] == ["GET", "POST"]
    assert world.fetcher.fetched[-1][1] == URL
    assert world.staple() == "GOOD"


def test_get_when_post_is_refused(world: Any) -> None:
    world.responder.lie = lambda request, truth: (
        (200, truth()) if world.fetcher.fetched[-1][0] == "GET" else (404, b"<html>")
    )
    world.add(responder_url="http://h/" + "a" * 200)
    world.stapler.start()
    assert [method for method, *_ in world.fetcher.fetched] == ["POST", "GET"]
    assert world.staple() == "GOOD"


def test_it_is_refreshed_at_the_interval(world: Any) -> None:
    world.add(refresh_interval=300.0)
    world.stapler.start()
    world.pass_time(299)
    assert len(world.fetcher.fetched) == 1
    world.pass_time(1)
    assert len(world.fetcher.fetched) == 2


def test_it_is_refreshed_at_half_of_the_remaining_life(world: Any) -> None:
    world.responder.options = ("-nmin", "10")
    world.add(refresh_interval=HOUR)
    world.stapler.start()
    world.pass_time(295)
    assert len(world.fetcher.fetched) == 1
    world.pass_time(6)
    assert len(world.fetcher.fetched) == 2


def test_an_answer_that_ends_soon_does_not_make_us_ask_all_the_time(world: Any) -> None:
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
def test_the_old_response_is_kept_while_it_lasts(world: Any, down: str) -> None:
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


def test_failures_are_tried_again_less_and_less_often(world: Any) -> None:
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
def test_a_lying_responder_is_not_stapled(world: Any, kind: str) -> None:
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


def test_a_response_for_another_certificate_is_not_stapled(world: Any) -> None:
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


def test_a_response_of_another_signer_is_not_stapled(world: Any, ocsp_responder: Any) -> None:
    stranger = ocsp_responder(world.pki.intermediate, world.pki.other_root)
    stranger.good(world.pki.ec.cert)
    world.fetcher.responder = stranger
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert "did not vouch" in world.state().last_error


def test_an_unknown_certificate_is_not_stapled_and_tried_again(world: Any) -> None:
    world.responder.forget(world.pki.ec.cert)
    world.add()
    world.stapler.start()
    assert world.staple() == ""
    assert "does not know" in world.lines("warn")[0]
    world.responder.good(world.pki.ec.cert)
    world.pass_time(5)
    assert world.staple() == "GOOD"


def test_our_own_revocation_is_an_alarm_at_each_refresh_and_is_stapled(world: Any) -> None:
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


def test_an_old_answer_played_back_does_not_hide_the_revocation(world: Any) -> None:
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


def test_a_restart_during_an_outage(world: Any) -> None:
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


def test_what_is_kept_is_checked_like_what_is_fetched(world: Any) -> None:
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


def test_a_removed_certificate_leaves_nothing(world: Any) -> None:
    world.add()
    world.stapler.start()
    world.stapler.remove(world.pki.ec.cert)
    world.stapler.remove(world.pki.ec.cert)
    assert world.staple() == ""
    assert world.stapler.list() == []
    assert list(world.folder.iterdir()) == []
    assert world.clock.getDelayedCalls() == []


def test_a_reload_keeps_what_did_not_change(world: Any) -> None:
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


def test_new_options_ask_anew_and_keep_the_response_meanwhile(world: Any) -> None:
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


def test_a_stop_ends_what_is_under_way(world: Any) -> None:
    world.fetcher.hold = True
    world.add()
    world.stapler.start()
    world.stapler.stop()
    assert world.clock.getDelayedCalls() == []
    assert not world.lines("warn")


def test_certificates_do_not_get_each_others_response(world: Any) -> None:
    world.responder.revoke(world.pki.rsa.cert)
    world.add()
    world.add(world.pki.rsa)
    world.stapler.start()
    assert world.staple() == "GOOD"
    assert world.staple(world.pki.rsa) == "REVOKED"
    assert world.stapler.response_for(world.pki.root.cert) == b""
