"""What acme-census declares; its code is imported when the configuration chooses it."""

from mqttd.plugins import EventSinkPlugin

acme_census = EventSinkPlugin(
    "acme-census",
    "Counts the clients of each listener, for mqttd.",
    "acme_census.make",
)
