"""What acme-challenge declares; its code is imported when the configuration chooses it."""

from mqttd.plugins import AuthenticatorPlugin

acme_challenge = AuthenticatorPlugin(
    "acme-challenge",
    "A challenge and a shared secret, for mqttd.",
    "acme_challenge.make",
)
