"""What is decided on a client certificate once its chain is verified, and who decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs
from cryptography import x509

ACCEPT: Final = 0
"""``X509_V_OK``."""
UNDECIDED: Final = -1
"""Nothing in memory: the gate holds the connection and asks."""
REVOKED: Final = 23
"""``X509_V_ERR_CERT_REVOKED``: alert 44, certificate_revoked."""
INVALID_PURPOSE: Final = 26
"""``X509_V_ERR_INVALID_PURPOSE``: alert 43, unsupported_certificate."""
REJECTED: Final = 28
"""``X509_V_ERR_CERT_REJECTED``: alert 42, bad_certificate."""


@attrs.frozen
class Verdict:
    """``error`` is 0 to accept, -1 for not yet known, else the ``X509_V_ERR_*`` to refuse with.

    ``cause`` is a stable word, ``text`` part of a sentence for operators.
    """

    error: int
    cause: str = ""
    text: str = ""


ACCEPTED: Final = Verdict(ACCEPT)
ASK: Final = Verdict(UNDECIDED)


class Judge(Protocol):
    """Decides on verified chains: the client's own certificate first, its root last."""

    def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
        """At once and from memory, within the handshake; may be UNDECIDED. Never raises."""

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        """For the UNDECIDED: calls ``done`` once, maybe at once, with a verdict that is decided;
        within the time limits of the checkers. Never raises."""


class PskKeys(Protocol):
    """Knows pre-shared keys: the store of ``psk_authentication``."""

    def key_for(self, identity: bytes) -> bytes | None:
        """The key, or None; at once."""
