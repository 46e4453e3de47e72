"""OCSP of client certificates: one request for all, remembered, asked again, never fooled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.interfaces import IRevocationChecker, PluginContext
from mqttd.plugins import revocation_checker
from mqttd.revocation.ocsp_checker import OcspChecker

HOUR = 3600.0
URL = "http://ocsp.example/"


@pytest.fixture
def world(ocsp_world: Any) -> Any:
    return ocsp_world


def test_it_is_a_revocation_checker(world: Any) -> None:
    assert verifyObject(IRevocationChecker, world.checker)


def test_good_is_asked_for_once_and_then_known(world: Any) -> None:
    assert world.known() == ""
    assert world.status().outcome == "good"
    assert world.known() == "good"
    assert world.status().outcome == "good"
    assert world.requests == 1
    assert world.checker.figures() == {"good": 1, "revoked": 0, "unknown": 0, "asking": 0}


def test_revoked_says_when_why_and_who(world: Any) -> None:
    world.responder.revoke(world.pki.client_ec.cert)
    status = world.status()
    assert (status.outcome, status.cause, status.allow) == ("revoked", "revoked", False)
    assert status.text.startswith("revoked on 2")
    assert status.text.endswith("(keyCompromise), says the OCSP responder http://ocsp.example/")
    assert world.known() == "revoked"


def test_one_request_serves_all_who_wait(world: Any) -> None:
    world.fetcher.hold = True
    waiting = [world.ask() for _ in range(20)]
    assert not any(waiting)
    world.fetcher.release()
    assert [each[0].outcome for each in waiting] == ["good"] * 20
    assert world.requests == 1


def test_who_gives_up_does_not_take_the_others_along(world: Any) -> None:
    world.fetcher.hold = True
    first = Deferred.fromCoroutine(cast("Any", world.checker.check(world.chain)))
    first.addErrback(lambda failure: None)
    other = world.ask()
    first.cancel()
    world.fetcher.release()
    assert other[0].outcome == "good"


def test_the_responder_is_the_one_the_certificate_names(world: Any) -> None:
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP,
                x509.UniformResourceIdentifier("http://named.example/o"),
            )
        ]
    )
    client = world.pki.root.client(extra=[access])
    world.responder.good(client.cert)
    world.new(responder_url=None)
    assert world.status((client.cert, world.pki.root.cert)).outcome == "good"
    assert world.fetcher.fetched[0][1].startswith("http://named.example/o/M")


def test_no_responder(world: Any) -> None:
    world.new(responder_url=None)
    status = world.status()
    assert (status.outcome, status.cause, status.allow) == ("unknown", "no-responder", False)
    assert world.requests == 0


def test_a_chain_of_one_has_nobody_to_ask(world: Any) -> None:
    assert world.status(world.chain[:1]).cause == "no-responder"


@pytest.mark.parametrize("mode", ["required", "soft"])
@pytest.mark.parametrize(
    ("down", "cause"),
    [
        ("unreachable", "ocsp-unreachable"),
        ("tls", "ocsp-unreachable"),
        ("timeout", "ocsp-timeout"),
        ("too-large", "ocsp-garbage"),
    ],
)
def test_a_responder_that_is_down(world: Any, mode: str, down: str, cause: str) -> None:
    world.new(mode=mode)
    world.fetcher.down = down
    status = world.status()
    assert (status.outcome, status.cause) == ("unknown", cause)
    assert status.allow == (mode == "soft")
    assert "http://ocsp.example/ cannot be asked: 127.0.0.1:1 does not answer" in status.text
    assert world.known() == "unknown", "who comes back at once does not make us ask at once"
    (line,) = world.lines("warn")
    assert ("are let in unchecked" in line) == (mode == "soft")


def refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


Lie = Callable[[bytes, Callable[[], bytes]], tuple[int, bytes]]
LIES: dict[str, Lie] = {
    "ocsp-try-later": lambda asked, truth: (
        200,
        refusal(ocsp.OCSPResponseStatus.TRY_LATER),
    ),
    "ocsp-unauthorized": lambda asked, truth: (
        200,
        refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ),
    "ocsp-garbage": lambda asked, truth: (200, b"<html>log in first</html>"),
    "ocsp-unreachable": lambda asked, truth: (503, b""),
}


@pytest.mark.parametrize("cause", list(LIES))
def test_a_responder_that_lies(world: Any, cause: str) -> None:
    world.responder.lie = LIES[cause]
    assert world.status().cause == cause
    world.responder.lie = None
    world.pass_time(1.1)
    assert world.status().outcome == "good"


def test_a_wrong_signer(world: Any, ocsp_responder: Any) -> None:
    world.fetcher.responder = ocsp_responder(world.pki.root, world.pki.other_root)
    assert world.status().cause == "ocsp-bad-signature"


def test_a_client_certificate_cannot_answer_for_itself(world: Any, ocsp_responder: Any) -> None:
    own = ocsp_responder(world.pki.root, world.pki.client_ec)
    own.good(world.pki.client_ec.cert)
    world.fetcher.responder = own
    assert world.status().cause == "ocsp-bad-signature"


def test_the_answer_about_another(world: Any) -> None:
    world.responder.good(world.pki.client_rsa.cert)
    kept: list[bytes] = []

    def keep(asked: bytes, truth: Callable[[], bytes]) -> tuple[int, bytes]:
        kept.append(truth())
        return 200, kept[0]

    world.responder.lie = keep
    assert world.status((world.pki.client_rsa.cert, world.pki.root.cert)).outcome == "good"
    assert world.status().cause == "ocsp-wrong-certificate"


def test_an_old_answer(world: Any) -> None:
    old: list[bytes] = []
    world.responder.lie = lambda asked, truth: (200, old[0])
    asked = ocsp_request(world)
    old.append(world.responder.answer(asked))
    world.pass_time(2 * HOUR)
    assert world.status().cause == "ocsp-stale"


def ocsp_request(world: Any) -> bytes:
    from mqttd.revocation.ocsp_message import Question

    return Question.of(world.chain[0], world.chain[1]).der


def test_a_certificate_the_responder_does_not_know(world: Any) -> None:
    world.responder.forget(world.pki.client_ec.cert)
    assert world.status().cause == "ocsp-unknown"
    world.responder.good(world.pki.client_ec.cert)
    world.pass_time(1.1)
    assert world.status().outcome == "good"


def test_a_nonce_is_sent_and_demanded(world: Any) -> None:
    world.new(nonce=True)
    assert world.status().outcome == "good"
    assert world.fetcher.fetched[0][0] == "POST"
    world.responder.options = ("-nmin", "60", "-no_nonce")
    world.new(nonce=True)
    truth = world.responder.answer(ocsp_request(world))
    world.responder.lie = lambda asked, _: (200, truth)
    assert world.status().cause == "ocsp-bad-nonce"


# --- how long, how many ------------------------------------------------------------------------


def test_an_answer_is_used_for_as_long_as_the_operator_says(world: Any) -> None:
    world.new(cache=600.0)
    world.checker.stop()
    world.status()
    world.pass_time(599)
    assert world.known() == "good"
    world.pass_time(2)
    assert world.known() == ""


def test_an_answer_is_never_used_much_beyond_its_next_update(world: Any) -> None:
    world.new(cache=24 * HOUR)
    world.checker.stop()
    world.status()
    world.pass_time(HOUR + 290)
    assert world.known() == "good"
    world.pass_time(20)
    assert world.known() == ""


def test_cache_zero_asks_each_time(world: Any) -> None:
    world.new(cache=0.0)
    for _ in range(3):
        assert world.status().outcome == "good"
        assert world.known() == ""
    assert world.requests == 3
    world.pass_time(60, 60)
    assert world.requests == 3


def test_what_is_remembered_is_bounded(world: Any) -> None:
    world.new(capacity=2)
    chains = []
    for at in range(3):
        client = world.pki.root.client(f"dev{at}")
        world.responder.good(client.cert)
        chains.append((client.cert, world.pki.root.cert))
        world.status(chains[-1])
        if at == 1:
            world.checker.known(chains[0])
    known = [world.checker.known(chain) is not None for chain in chains]
    assert known == [True, False, True]
    assert world.checker.figures()["good"] == 2


def test_failures_are_remembered_longer_and_longer(world: Any) -> None:
    world.checker.stop()
    world.fetcher.down = "unreachable"
    lasted = []
    for _ in range(7):
        world.status()
        begin = world.wall()
        while world.known():
            world.pass_time(0.25)
        lasted.append(world.wall() - begin)
    assert lasted[0] <= 1.0
    assert lasted[0] < lasted[2] < lasted[4]
    assert max(lasted) <= 30.0


def test_too_many_requests_wait_for_a_place_within_their_time(world: Any) -> None:
    world.new(timeout=5.0, capacity=1000)
    world.fetcher.hold = True
    clients = [world.pki.root.client(key=world.pki.client_ec.key) for _ in range(102)]
    waiting = [world.ask((client.cert, world.pki.root.cert)) for client in clients]
    assert world.requests == 100
    world.pass_time(2)
    world.fetcher.waiting.pop().callback(None)
    assert world.requests == 101
    assert world.fetcher.fetched[-1][2] == pytest.approx(3.0)
    world.pass_time(3.1)
    assert [each.cause for each in waiting[101]] == ["ocsp-timeout"]
    world.fetcher.release()
    assert all(waiting)


def test_a_stop_answers_who_waits(world: Any) -> None:
    world.fetcher.hold = True
    waiting = world.ask()
    world.checker.stop()
    assert waiting[0].outcome == "unknown"


# --- the plugin --------------------------------------------------------------------------------


def test_the_plugin_makes_it(tmp_path: Path) -> None:
    context = PluginContext(Clock(), tmp_path, tmp_path)
    made = revocation_checker("ocsp").make(OcspClientOptions(enable=True), context)
    assert isinstance(made, OcspChecker)
    with pytest.raises(ConfigurationErrors, match=r"none\.pem"):
        revocation_checker("ocsp").make(
            OcspClientOptions(enable=True, ssl=ClientTLSOptions(cacertfile="none.pem")), context
        )
