"""How long the reactor stands still while live sessions are asked again about their credential.

Sessions are real ones, from the network protocol through TLS and the broker to the engine, over
transports in memory. A ticker in the same reactor measures the longest time between two turns
while a round runs, and again while a part of the sessions is ended. The judge looks up a serial
in a set, as that of revocation lists does.

With 10,000 sessions, each with its own certificate, on one core of a shared virtual machine: a
round after a change of lists takes 45 ms, after a change of authorities (each chain is verified
again) 1.6 s, one that ends 1,000 sessions 72 ms; the longest stall is 1.6, 5.5 and 3.9 ms. With
one certificate for all, 10,000 sessions are ended within 250 ms, the longest stall is 5.1 ms.
Python's own collection of garbage, with the client ends of this process, is kept out of it. Ends
with status 1 when a stall passes --most.
"""

# ruff: noqa: N802 - Twisted's names

from __future__ import annotations

import argparse
import datetime
import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.schema.tls import SslOptions
from mqttd.config.types import Bind
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.net.factory import ListenerFactory
from mqttd.net.live import LiveTrust
from mqttd.net.steady_clock import SteadyClock
from mqttd.net.turn import Turn
from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.testing import AdmitAll
from mqttd.tls.channel import TLSChannel
from mqttd.tls.context import build_server_context
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.verdict import ACCEPTED, Verdict

reactor: Any = _reactor
REVOKED = Verdict(23, "revoked", "just now")
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


class Wire(StringTransport):
    """A transport in memory with what the network protocol asks of a socket."""

    bufferSize = 65536  # noqa: N815 - Twisted's name

    def __init__(self, port: int) -> None:
        super().__init__(
            hostAddress=IPv4Address("TCP", "127.0.0.1", 8883),
            peerAddress=IPv4Address("TCP", "127.0.0.1", port % 65536),
        )
        self.dataBuffer = b""
        self.offset = self._tempDataLen = 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to set."""

    def getHandle(self) -> None:
        """There is no socket."""

    def loseWriteConnection(self) -> None:
        """The end is the benchmark's."""

    def abortConnection(self) -> None:
        """The end is the benchmark's."""

    def take(self) -> bytes:
        """What was written since the last call."""
        data: bytes = self.value()
        self.clear()
        return data


class Judge:
    """Knows the revoked serials."""

    def __init__(self) -> None:
        self.revoked: set[int] = set()

    def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
        return REVOKED if chain[0].serial_number in self.revoked else ACCEPTED

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        done(self.judge(chain))


class Ticker:
    """The longest time between two turns of the reactor."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.monotonic()
        self._running = True
        reactor.callLater(0, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        if self._running:
            reactor.callLater(0, self._tick)

    def stop(self) -> None:
        self._running = False


def certificate(
    name: str, key: Any, issuer: x509.Certificate | None = None, issuer_key: Any = None
) -> x509.Certificate:
    """Issue one; without an issuer a root."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        .sign(issuer_key or key, hashes.SHA256())
    )


def pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


class World:
    """A broker with one listener, and sessions admitted by certificates."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate("root", self.key)
        self.other = certificate("other", ec.generate_private_key(ec.SECP256R1()))
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.options = SslOptions(
            keyfile=private.decode(),
            certfile=pem(certificate("localhost", self.key, self.root, self.key)),
            cacertfile=pem(self.root),
            verify="verify_peer",
        )
        self.judge = Judge()
        self.limits = Limits()
        self.clock = SteadyClock(reactor)
        engine = MemoryEngine(EngineOptions())
        self.broker = Broker(engine, self.limits, AdmitAll())
        self.turn = Turn(self.clock, self.broker)
        listener = ListenerOptions(type="ssl", bind=Bind("127.0.0.1", 0), ssl_options=self.options)
        self.factory = ListenerFactory(
            listener, self.broker, self.limits, self.turn, self.clock, self.tls()
        )
        self.live = LiveTrust([self.factory], self.clock)
        self.serials: list[int] = []

    def tls(self) -> ListenerTLS:
        """The listener's TLS, built anew."""
        return ListenerTLS(default=build_server_context(self.options), judge=self.judge)

    def admit(self, number: int, shared: x509.Certificate | None) -> None:
        """One more session."""
        own = shared or certificate(f"client-{number}", self.key, self.root, self.key)
        self.serials.append(own.serial_number)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.use_certificate(own)
        context.use_privatekey(self.key)
        wire = Wire(number)
        protocol = self.factory.buildProtocol(wire.getPeer())
        assert protocol is not None
        protocol.makeConnection(wire)
        channel = TLSChannel(context, server=False)
        channel.start()
        while data := channel.outgoing():
            protocol.dataReceived(data)
            channel.receive(wire.take())
        channel.send(encode(Connect(f"client-{number}", 5, keep_alive=0), 5))
        protocol.dataReceived(channel.outgoing())
        self.turn.end()
        wire.clear()

    def round(self) -> tuple[float, float]:
        """Let one round run; seconds in all, and the longest stall."""
        gc.collect()
        gc.freeze()  # what was made here is not the broker's to collect
        result = (0.0, 0.0)

        def begin() -> None:
            look(Ticker(), time.monotonic())
            self.live.credentials_changed()

        def look(ticker: Ticker, begun: float) -> None:
            nonlocal result
            if self.live.busy or time.monotonic() - begun < 0.01:
                reactor.callLater(0, look, ticker, begun)
                return
            ticker.stop()
            result = (time.monotonic() - begun, ticker.longest)
            reactor.crash()

        reactor.callLater(0.05, begin)  # the reactor's own start is not what is measured
        reactor.run(installSignalHandlers=False)
        return result


def main() -> int:
    """Measure."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--shared", action="store_true", help="one certificate for all sessions")
    parser.add_argument("--cut", type=float, default=0.1, help="share that is ended at the end")
    parser.add_argument("--most", type=float, default=50.0, help="milliseconds a stall may last")
    args = parser.parse_args()
    world = World()
    shared = certificate("all", world.key, world.root, world.key) if args.shared else None
    begun = time.monotonic()
    for number in range(args.sessions):
        world.admit(number, shared)
    print(f"{args.sessions} sessions in {time.monotonic() - begun:.1f} s", flush=True)
    worst = 0.0

    def show(what: str) -> None:
        nonlocal worst
        seconds, stall = world.round()
        worst = max(worst, stall)
        print(f"{what:38}{seconds * 1000:9.1f} ms in all{stall * 1000:8.2f} ms longest stall")

    show("lists changed, nobody revoked")
    world.options = SslOptions(
        keyfile=world.options.keyfile,
        certfile=world.options.certfile,
        cacertfile=pem(world.root, world.other),
        verify="verify_peer",
    )
    world.factory.configure_with(world.factory.options, world.limits, world.tls())
    show("authorities changed")
    world.judge.revoked.update(world.serials[: int(args.sessions * args.cut)])
    show(f"lists changed, {args.cut:.0%} revoked")
    print(f"{world.live.ended} sessions ended; {len(world.broker.connections)} left")
    return int(worst * 1000 > args.most)


if __name__ == "__main__":
    sys.exit(main())
