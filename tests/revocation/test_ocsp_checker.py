"""OCSP of client certificates: one request for all, remembered, asked again, never fooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.interfaces import IRevocationChecker, PluginContext, RevocationStatus
from mqttd.plugins import revocation_checker
from mqttd.revocation.ocsp_checker import OcspChecker

HOUR = 3600.0
URL = "http://ocsp.example/"


class World:
    """A checker whose time stands still, and the responder it asks."""

    def __init__(self, pki: Any, responder: Any, fetcher: Any, wall: Any) -> None:
        self.pki = pki
        self.responder = responder
        self.fetcher = fetcher
        self.wall = wall
        self.log: list[Any] = []
        self.changes = 0
        self.new()

    def new(self, *, capacity: int = 100, **options: Any) -> None:
        options.setdefault("responder_url", URL)
        self.clock = Clock()
        self.checker = OcspChecker(
            OcspClientOptions(enable=True, **options),
            self.fetcher,
            self.clock,
            wall=self.wall,
            capacity=capacity,
        )
        self.checker.on_change(self._changed)
        self.checker.start()

    def _changed(self) -> None:
        self.changes += 1

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return (self.pki.client_ec.cert, self.pki.root.cert)

    def ask(self, chain: Any = None) -> list[RevocationStatus]:
        """Ask; the list gets the status when it is there."""
        statuses: list[RevocationStatus] = []
        asked = Deferred.fromCoroutine(cast("Any", self.checker.check(chain or self.chain)))
        asked.addCallback(statuses.append)
        return statuses

    def status(self, chain: Any = None) -> RevocationStatus:
        (status,) = self.ask(chain)
        return status

    def known(self) -> str:
        """What is known without asking; empty for nothing."""
        status = self.checker.known(self.chain)
        return "" if status is None else status.outcome

    def pass_time(self, seconds: float, steps: int = 1) -> None:
        for _ in range(steps):
            self.wall.now += seconds / steps
            self.clock.advance(seconds / steps)

    @property
    def requests(self) -> int:
        return len(self.fetcher.fetched)

    def lines(self, level: str) -> list[str]:
        return [formatEvent(e) for e in self.log if e["log_level"].name == level]


@pytest.fixture
def world(pki: Any, ocsp_responder: Any, direct: Any, wall: Any) -> Iterator[World]:
    responder = ocsp_responder(pki.root)
    responder.good(pki.client_ec.cert)
    made = World(pki, responder, direct(responder), wall)
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    made.checker.stop()
    assert made.clock.getDelayedCalls() == []


def test_it_is_a_revocation_checker(world: World) -> None:
    assert verifyObject(IRevocationChecker, world.checker)


def test_good_is_asked_for_once_and_then_known(world: World) -> None:
    assert world.known() == ""
    assert world.status().outcome == "good"
    assert world.known() == "good"
    assert world.status().outcome == "good"
    assert world.requests == 1
    assert world.checker.figures() == {"good": 1, "revoked": 0, "unknown": 0, "asking": 0}


def test_revoked_says_when_why_and_who(world: World) -> None:
    world.responder.revoke(world.pki.client_ec.cert)
    status = world.status()
    assert (status.outcome, status.cause, status.allow) == ("revoked", "revoked", False)
    assert status.text.startswith("revoked on 2")
    assert status.text.endswith("(keyCompromise), says the OCSP responder http://ocsp.example/")
    assert world.known() == "revoked"


def test_one_request_serves_all_who_wait(world: World) -> None:
    world.fetcher.hold = True
    waiting = [world.ask() for _ in range(20)]
    assert not any(waiting)
    world.fetcher.release()
    assert [each[0].outcome for each in waiting] == ["good"] * 20
    assert world.requests == 1


def test_who_gives_up_does_not_take_the_others_along(world: World) -> None:
    world.fetcher.hold = True
    first = Deferred.fromCoroutine(cast("Any", world.checker.check(world.chain)))
    first.addErrback(lambda failure: None)
    other = world.ask()
    first.cancel()
    world.fetcher.release()
    assert other[0].outcome == "good"


def test_the_responder_is_the_one_the_certificate_names(world: World) -> None:
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


def test_no_responder(world: World) -> None:
    world.new(responder_url=None)
    status = world.status()
    assert (status.outcome, status.cause, status.allow) == ("unknown", "no-responder", False)
    assert world.requests == 0


def test_a_chain_of_one_has_nobody_to_ask(world: World) -> None:
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
def test_a_responder_that_is_down(world: World, mode: str, down: str, cause: str) -> None:
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
def test_a_responder_that_lies(world: World, cause: str) -> None:
    world.responder.lie = LIES[cause]
    assert world.status().cause == cause
    world.responder.lie = None
    world.pass_time(1.1)
    assert world.status().outcome == "good"


def test_a_wrong_signer(world: World, ocsp_responder: Any) -> None:
    world.fetcher.responder = ocsp_responder(world.pki.root, world.pki.other_root)
    assert world.status().cause == "ocsp-bad-signature"


def test_a_client_certificate_cannot_answer_for_itself(world: World, ocsp_responder: Any) -> None:
    own = ocsp_responder(world.pki.root, world.pki.client_ec)
    own.good(world.pki.client_ec.cert)
    world.fetcher.responder = own
    assert world.status().cause == "ocsp-bad-signature"


def test_the_answer_about_another(world: World) -> None:
    world.responder.good(world.pki.client_rsa.cert)
    kept: list[bytes] = []

    def keep(asked: bytes, truth: Callable[[], bytes]) -> tuple[int, bytes]:
        kept.append(truth())
        return 200, kept[0]

    world.responder.lie = keep
    assert world.status((world.pki.client_rsa.cert, world.pki.root.cert)).outcome == "good"
    assert world.status().cause == "ocsp-wrong-certificate"


def test_an_old_answer(world: World) -> None:
    old: list[bytes] = []
    world.responder.lie = lambda asked, truth: (200, old[0])
    asked = ocsp_request(world)
    old.append(world.responder.answer(asked))
    world.pass_time(2 * HOUR)
    assert world.status().cause == "ocsp-stale"


def ocsp_request(world: World) -> bytes:
    from mqttd.revocation.ocsp_message import Question

    return Question.of(world.chain[0], world.chain[1]).der


def test_a_certificate_the_responder_does_not_know(world: World) -> None:
    world.responder.forget(world.pki.client_ec.cert)
    assert world.status().cause == "ocsp-unknown"
    world.responder.good(world.pki.client_ec.cert)
    world.pass_time(1.1)
    assert world.status().outcome == "good"


def test_a_nonce_is_sent_and_demanded(world: World) -> None:
    world.new(nonce=True)
    assert world.status().outcome == "good"
    assert world.fetcher.fetched[0][0] == "POST"
    world.responder.options = ("-nmin", "60", "-no_nonce")
    world.new(nonce=True)
    truth = world.responder.answer(ocsp_request(world))
    world.responder.lie = lambda asked, _: (200, truth)
    assert world.status().cause == "ocsp-bad-nonce"


# --- how long, how many ------------------------------------------------------------------------


def test_an_answer_is_used_for_as_long_as_the_operator_says(world: World) -> None:
    world.new(cache=600.0)
    world.checker.stop()
    world.status()
    world.pass_time(599)
    assert world.known() == "good"
    world.pass_time(2)
    assert world.known() == ""


def test_an_answer_is_never_used_much_beyond_its_next_update(world: World) -> None:
    world.new(cache=24 * HOUR)
    world.checker.stop()
    world.status()
    world.pass_time(HOUR + 290)
    assert world.known() == "good"
    world.pass_time(20)
    assert world.known() == ""


def test_cache_zero_asks_each_time(world: World) -> None:
    world.new(cache=0.0)
    for _ in range(3):
        assert world.status().outcome == "good"
        assert world.known() == ""
    assert world.requests == 3
    world.pass_time(60, 60)
    assert world.requests == 3


def test_what_is_remembered_is_bounded(world: World) -> None:
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


def test_failures_are_remembered_longer_and_longer(world: World) -> None:
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


def test_too_many_requests_wait_for_a_place_within_their_time(world: World) -> None:
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


def test_a_stop_answers_who_waits(world: World) -> None:
    world.fetcher.hold = True
    waiting = world.ask()
    world.checker.stop()
    assert waiting[0].outcome == "unknown"


# --- live sessions -----------------------------------------------------------------------------


def test_an_answer_in_use_is_asked_for_again_before_it_ends(world: World) -> None:
    world.responder.options = ("-ndays", "1")
    world.status()
    world.pass_time(2600, 26)
    assert world.requests == 1
    world.pass_time(200, 2)
    assert world.requests == 2
    world.pass_time(HOUR / 2, 60)
    assert world.known() == "good"


def test_a_revocation_found_when_asking_again_is_told(world: World) -> None:
    world.status()
    world.responder.revoke(world.pki.client_ec.cert)
    world.pass_time(2600, 26)
    assert world.changes == 0
    world.pass_time(200, 4)
    world.pass_time(1)
    assert world.changes == 1
    assert world.known() == "revoked"


def test_a_revocation_holds_through_an_outage_even_when_soft(world: World) -> None:
    world.new(mode="soft", cache=600.0)
    world.responder.revoke(world.pki.client_ec.cert)
    assert world.status().outcome == "revoked"
    world.fetcher.down = "unreachable"
    for _ in range(48):
        world.pass_time(HOUR)
        assert world.status().outcome == "revoked"


def test_a_revocation_is_not_undone_by_an_older_answer(world: World) -> None:
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


def _revoked(world: World) -> bytes:
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


def test_a_hold_that_is_lifted(world: World) -> None:
    world.new(cache=60.0)
    world.responder.revoke(world.pki.client_ec.cert, "certificateHold")
    assert world.status().outcome == "revoked"
    world.responder.good(world.pki.client_ec.cert)
    world.pass_time(61, 61)
    assert world.status().outcome == "good"


def test_an_outage_does_not_shorten_an_answer(world: World) -> None:
    world.status()
    world.fetcher.down = "timeout"
    world.pass_time(3500, 700)
    assert world.requests > 3
    assert world.known() == "good"
    assert world.changes == 0


def test_a_session_that_lives_for_a_week_is_asked_about_all_the_time(world: World) -> None:
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


def test_what_nobody_uses_is_not_asked_for_for_ever(world: World) -> None:
    world.responder.options = ("-ndays", "30")
    world.status()
    world.pass_time(4 * HOUR, 4 * 30)
    asked = world.requests
    assert 2 <= asked <= 4
    world.pass_time(48 * HOUR, 48 * 30)
    assert world.requests == asked


def test_live_sessions_are_not_looked_at_during_an_outage(world: World) -> None:
    world.status()
    world.fetcher.down = "unreachable"
    world.pass_time(5 * HOUR, 5 * 60)
    assert world.changes == 0
    world.fetcher.down = ""
    world.responder.options = ("-ndays", "1")
    world.pass_time(HOUR, 60)
    assert world.changes == 1
    assert world.known() == "good"


def test_few_requests_at_a_time_in_the_background(world: World) -> None:
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


def test_an_outage_is_one_line_a_minute_and_its_end_another(world: World) -> None:
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


def test_keys_in_the_address_are_not_logged(world: World) -> None:
    world.new(responder_url="http://ocsp.example/a?token=secret")
    world.fetcher.down = "unreachable"
    assert "secret" not in world.status().text
    assert "secret" not in "".join(world.lines("warn"))


# --- the plugin --------------------------------------------------------------------------------


def test_the_plugin_makes_it(tmp_path: Path) -> None:
    context = PluginContext(Clock(), tmp_path, tmp_path)
    made = revocation_checker("ocsp").make(OcspClientOptions(enable=True), context)
    assert isinstance(made, OcspChecker)
    with pytest.raises(ConfigurationErrors, match=r"none\.pem"):
        revocation_checker("ocsp").make(
            OcspClientOptions(enable=True, ssl=ClientTLSOptions(cacertfile="none.pem")), context
        )
