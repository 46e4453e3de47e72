"""mqttd beside mosquitto, interleaved: deliveries and connects a second, broker CPU for each.

Machines are noisy: the ratio of the CPU figures is what to trust, and several rounds are run.
"""

from __future__ import annotations

import argparse
import contextlib
import ssl
import statistics
from collections.abc import Callable

import load
import peers

Measure = Callable[[peers.Peer], tuple[float, float]]


def tests(seconds: float, context: ssl.SSLContext) -> dict[str, Measure]:
    """Every test by name."""

    def traffic(tls: bool, publishers: int, subscribers: int, window: int) -> Measure:
        fan_out = publishers == 1 and subscribers > 1
        return lambda peer: load.messages(
            peer.tls_port if tls else peer.tcp_port,
            peer.pid,
            seconds=seconds,
            context=context if tls else None,
            publishers=publishers,
            subscribers=subscribers,
            fan_out=fan_out,
            window=window,
        )

    return {
        "tls pairs, window 10": traffic(True, 20, 20, 10),
        "tls pairs, window 1": traffic(True, 20, 20, 1),
        "tls fan-out to 100": traffic(True, 1, 100, 20),
        "tcp pairs, window 10": traffic(False, 20, 20, 10),
        "tls connect": lambda peer: load.connects(
            peer.tls_port, peer.pid, seconds=seconds, context=context
        ),
        "tcp connect": lambda peer: load.connects(
            peer.tcp_port, peer.pid, seconds=seconds, context=None
        ),
    }


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="time for each test")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with peers.workplace() as folder, contextlib.ExitStack() as stack:
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        running = [stack.enter_context(peers.mqttd(folder))]
        other = stack.enter_context(peers.mosquitto(folder))
        if other is not None:
            running.append(other)
        print(f"{'test':24}" + "".join(f"{peer.name:>24}" for peer in running) + "   ratio")
        for name, measure in tests(options.seconds, context).items():
            rounds: dict[str, list[tuple[float, float]]] = {peer.name: [] for peer in running}
            for _ in range(options.rounds):
                for peer in running:
                    rounds[peer.name].append(measure(peer))
            row, cpu = f"{name:24}", {}
            for peer in running:
                rate = statistics.median(each[0] for each in rounds[peer.name])
                cpu[peer.name] = statistics.median(each[1] for each in rounds[peer.name])
                row += f"{rate:12,.0f}/s {cpu[peer.name]:7.1f} us"
            if len(running) == 2:
                row += f"   {cpu['mosquitto'] / cpu['mqttd']:.2f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
