"""OCSP of clients that are connected: asked again, told, bounded; and what the log says."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

HOUR = 3600.0
URL = "http://ocsp.example/"


@pytest.fixture
def world(ocsp_world: Any) -> Any:
    return ocsp_world


def ocsp_request(world: Any) -> bytes:
    from mqttd.revocation.ocsp_message import Question

    return Question.of(world.chain[0], world.chain[1]).der


def test_an_answer_in_use_is_asked_for_again_before_it_ends(world: Any) -> None:
    world.responder.options = ("-ndays", "1")
    world.status()
    world.pass_time(2600, 26)
    assert world.requests == 1
    world.pass_time(200, 2)
    assert world.requests == 2
    world.pass_time(HOUR / 2, 60)
    assert world.known() == "good"


def test_a_revocation_found_when_asking_again_is_told(world: Any) -> None:
    world.status()
    world.responder.revoke(world.pki.client_ec.cert)
    world.pass_time(2600, 26)
    assert world.changes == 0
    world.pass_time(200, 4)
    world.pass_time(1)
    assert world.changes == 1
    assert world.known() == "revoked"


def test_a_revocation_holds_through_an_outage_even_when_soft(world: Any) -> None:
    world.new(mode="soft", cache=600.0)
    world.responder.revoke(world.pki.client_ec.cert)
    assert world.status().outcome == "revoked"
    world.fetcher.down = "unreachable"
    for _ in range(48):
        world.pass_time(HOUR)
        assert world.status().outcome == "revoked"


def test_a_revocation_is_not_undone_by_an_older_answer(world: Any) -> None:
    world.new(cache=600.0)
    world.responder.options = ("-ndays", "1")
    old = world.responder.answer(ocsp_request(world))
    kept = [old]
    world.responder.lie = lambda asked, truth: (200, kept[0])
    assert world.status().outcome == "good"
    kept[0] = _revoked(world)
    world.pass_time(500, 50)
    assert world.known() == "revoked"
    kept[0] = old
    before = world.requests
    world.pass_time(HOUR, 100)
    assert world.requests > before
    assert world.status().outcome == "revoked"


def _revoked(world: Any) -> bytes:
    import datetime

    from cryptography.hazmat.primitives import hashes

    moment = datetime.datetime.fromtimestamp(world.wall() + 600, datetime.UTC)
    made = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=world.chain[0],
            issuer=world.chain[1],
            algorithm=hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.REVOKED,
            this_update=moment,
            next_update=moment + datetime.timedelta(hours=1),
            revocation_time=moment,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, world.pki.root.cert)
        .sign(world.pki.root.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def test_a_hold_that_is_lifted(world: Any) -> None:
    world.new(cache=60.0)
    world.responder.revoke(world.pki.client_ec.cert, "certificateHold")
    assert world.status().outcome == "revoked"
    world.responder.good(world.pki.client_ec.cert)
    world.pass_time(61, 61)
    assert world.status().outcome == "good"


def test_an_outage_does_not_shorten_an_answer(world: Any) -> None:
    world.status()
    world.fetcher.down = "timeout"
    world.pass_time(3500, 700)
    assert world.requests > 3
    assert world.known() == "good"
    assert world.changes == 0


def test_a_session_that_lives_for_a_week_is_asked_about_all_the_time(world: Any) -> None:
    world.responder.options = ("-ndays", "30")
    world.status()
    # What looks at live sessions when something changed asks what is known of each.
    world.checker.on_change(world.known)
    world.pass_time(7 * 24 * HOUR, 7 * 24 * 30)
    assert world.known() == "good"
    before = world.changes
    world.responder.revoke(world.pki.client_ec.cert)
    world.pass_time(HOUR, 60)
    assert world.changes > before
    assert world.known() == "revoked"


def test_what_nobody_uses_is_not_asked_for_for_ever(world: Any) -> None:
    world.responder.options = ("-ndays", "30")
    world.status()
    world.pass_time(4 * HOUR, 4 * 30)
    asked = world.requests
    assert 2 <= asked <= 4
    world.pass_time(48 * HOUR, 48 * 30)
    assert world.requests == asked


def test_live_sessions_are_not_looked_at_during_an_outage(world: Any) -> None:
    world.status()
    world.fetcher.down = "unreachable"
    world.pass_time(5 * HOUR, 5 * 60)
    assert world.changes == 0
    world.fetcher.down = ""
    world.responder.options = ("-ndays", "1")
    world.pass_time(HOUR, 60)
    assert world.changes == 1
    assert world.known() == "good"


def test_few_requests_at_a_time_in_the_background(world: Any) -> None:
    world.new(capacity=1000)
    for _ in range(30):
        client = world.pki.root.client(key=world.pki.client_ec.key)
        world.responder.good(client.cert)
        world.status((client.cert, world.pki.root.cert))
    world.fetcher.hold = True
    world.pass_time(3000, 300)
    assert world.requests == 40
    world.fetcher.release()
    world.pass_time(10, 10)
    assert world.requests == 60


# --- the log -----------------------------------------------------------------------------------


def test_an_outage_is_one_line_a_minute_and_its_end_another(world: Any) -> None:
    world.new(capacity=1000)
    world.checker.stop()
    world.fetcher.down = "unreachable"
    chains = [(world.pki.root.client().cert, world.pki.root.cert) for _ in range(20)]
    for chain in chains[:18]:
        world.status(chain)
    assert len(world.lines("warn")) == 1
    world.pass_time(61)
    world.status(chains[18])
    assert "17 more such failures before" in world.lines("warn")[1]
    world.fetcher.down = ""
    world.responder.good(chains[19][0])
    assert world.status(chains[19]).outcome == "good"
    assert len(world.lines("info")) == 1
    assert "answers again" in world.lines("info")[0]


def test_keys_in_the_address_are_not_logged(world: Any) -> None:
    world.new(responder_url="http://ocsp.example/a?token=secret")
    world.fetcher.down = "unreachable"
    assert "secret" not in world.status().text
    assert "secret" not in "".join(world.lines("warn"))
