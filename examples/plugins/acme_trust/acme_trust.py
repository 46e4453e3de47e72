"""Two plugins for mqttd: keys derived from a secret, and a list of lost devices."""

import hashlib
import hmac
from pathlib import Path

from zope.interface import implementer

from mqttd.interfaces import (
    REVOKED,
    STATUS_GOOD,
    IPSKStore,
    IRevocationChecker,
    RevocationStatus,
)


@implementer(IPSKStore)
class DerivedKeys:
    """Every device's key follows from its identity and one secret: nothing to store."""

    def __init__(self, secret: bytes, prefix: bytes) -> None:
        self._secret = secret
        self._prefix = prefix

    def key_for(self, identity):
        """HMAC-SHA256 of the identity, for identities with our prefix."""
        if not identity.startswith(self._prefix):
            return None
        return hmac.digest(self._secret, identity, hashlib.sha256)

    def identities(self):
        """They are not listed anywhere."""
        return ()

    def on_change(self, changed):
        """The keys never change."""


def make_store(options, context):
    """``psk_authentication { store = acme, store_options { secret_file, prefix } }``."""
    try:
        file = Path(context.base_dir, options["secret_file"])
        return DerivedKeys(file.read_bytes().strip(), options.get("prefix", "").encode())
    except KeyError as missing:
        raise ValueError(f"store_options needs {missing}") from None
    except OSError as problem:
        raise ValueError(f"{problem.filename}: {problem.strerror}") from None


@implementer(IRevocationChecker)
class LostDevices:
    """A file with the serial number of every device that was lost, in hexadecimal."""

    def __init__(self, file, reactor):
        self._file = file
        self._reactor = reactor
        self._lost = frozenset()
        self._watchers = []
        self._next = None
        self._read()

    def known(self, chain):
        """The answer from memory: it always is there."""
        if chain[0].serial_number in self._lost:
            return RevocationStatus(REVOKED, "device-lost", "the device was reported lost")
        return STATUS_GOOD

    async def check(self, chain):
        """Never asked, because known() always answers."""
        return self.known(chain)

    def on_change(self, changed):
        """Called whenever the file says something else: sessions are then checked again."""
        self._watchers.append(changed)

    def start(self):
        """Look at the file every second."""
        self._next = self._reactor.callLater(1, self._look)

    def stop(self):
        """No more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self):
        before = self._lost
        self._read()
        if self._lost != before:
            for changed in self._watchers:
                changed()
        self.start()

    def _read(self):
        if self._file.exists():
            self._lost = frozenset(int(line, 16) for line in self._file.read_text().split())


def make_checker(_options, context):
    """``ssl_options.revocation_checkers = [lost-devices]``."""
    return LostDevices(Path(context.base_dir, "lost-devices"), context.reactor)
