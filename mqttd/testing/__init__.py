"""What tests of plugins use: requests, assertions on interfaces, and a broker in memory.

.. code-block:: python

    broker = MemoryBroker(authenticators=[MyAuthenticator()])
    subscriber = broker.connected("subscriber", username="ann", password=b"secret")
    subscriber.subscribe("greetings/#", qos=1)
    subscriber.publish("greetings/world", b"hello")
    assert subscriber.take_one(Publish).payload == b"hello"
    broker.advance(60)

Nothing here opens a socket, starts a thread or sleeps. Every call ends one turn of the broker:
when it returns, everything that follows from it has happened.
"""

from mqttd.testing.answers import answer_of
from mqttd.testing.authentication import assert_authenticator, assert_enhanced_authenticator
from mqttd.testing.authorization import assert_authorizer
from mqttd.testing.broker import AdmitAll, MemoryBroker
from mqttd.testing.client import MemoryClient, MemoryOutlet
from mqttd.testing.events import assert_event_sink
from mqttd.testing.requests import (
    SOMEBODY,
    access_request,
    certificate_chain,
    connect_request,
    peer_certificate,
    peer_info,
    plugin_context,
)
from mqttd.testing.trust import assert_psk_store, assert_revocation_checker

__all__ = [
    "SOMEBODY",
    "AdmitAll",
    "MemoryBroker",
    "MemoryClient",
    "MemoryOutlet",
    "access_request",
    "answer_of",
    "assert_authenticator",
    "assert_authorizer",
    "assert_enhanced_authenticator",
    "assert_event_sink",
    "assert_psk_store",
    "assert_revocation_checker",
    "certificate_chain",
    "connect_request",
    "peer_certificate",
    "peer_info",
    "plugin_context",
]
