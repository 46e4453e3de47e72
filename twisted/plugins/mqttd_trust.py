"""The revocation checkers and the store of pre-shared keys that come with mqttd."""

from mqttd.plugins import PSKStorePlugin, RevocationCheckerPlugin

crl = RevocationCheckerPlugin(
    "crl",
    "Certificate revocation lists: enable_crl_check, crl_cache.",
    "mqttd.revocation.crl_checker.make",
)
ocsp = RevocationCheckerPlugin(
    "ocsp",
    "OCSP responders: ssl_options.ocsp_client.",
    "mqttd.revocation.ocsp_checker.make",
)
file = PSKStorePlugin(
    "file",
    "The file of psk_authentication.init_file.",
    "mqttd.psk.file_store.make",
)
