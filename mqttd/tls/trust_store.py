"""Whether a chain that was verified once would be verified again, under today's authorities."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from OpenSSL import crypto

from mqttd.tls.context import ServerContext


def still_trusts(server: ServerContext, chain: Sequence[x509.Certificate]) -> bool:
    """Whether ``server`` trusts the chain (the client's own certificate first) now.

    The issuers in it serve as what the client would send; none of them is trusted for being there.
    True when ``server`` asks for no certificates at all: it takes nothing back then. Depth and
    purpose were looked at in the handshake and do not change. Takes some 100 microseconds.
    """
    if not server.verify_peer or not chain:
        return True
    store = server.context.get_cert_store()
    if store is None:
        return False
    leaf, *issuers = (crypto.X509.from_cryptography(each) for each in chain)
    try:
        crypto.X509StoreContext(store, leaf, issuers).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
