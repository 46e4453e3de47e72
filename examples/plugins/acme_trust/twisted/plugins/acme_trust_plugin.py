"""What acme_trust declares; nothing of it is imported before it is chosen."""

from mqttd.plugins import PSKStorePlugin, RevocationCheckerPlugin

acme_keys = PSKStorePlugin("acme", "Keys derived from one secret.", "acme_trust.make_store")

lost_devices = RevocationCheckerPlugin(
    "lost-devices", "Devices reported lost.", "acme_trust.make_checker"
)
