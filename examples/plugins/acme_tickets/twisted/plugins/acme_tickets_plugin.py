"""What acme-tickets declares; its code is imported when the configuration chooses it."""

from mqttd.plugins import AuthenticatorPlugin

acme_tickets = AuthenticatorPlugin(
    "acme-tickets",
    "Devices with signed tickets for passwords.",
    "acme_tickets.make",
)
