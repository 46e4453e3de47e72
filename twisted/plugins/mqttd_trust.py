"""The plugins that come with mqttd."""

from mqttd.plugins import (
    AuthenticatorPlugin,
    AuthorizerPlugin,
    PSKStorePlugin,
    RevocationCheckerPlugin,
)

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
http = AuthenticatorPlugin(
    "password_based:http",
    "Asks an HTTP server.",
    "mqttd.auth.http_authenticator.make",
)
built_in_database = AuthenticatorPlugin(
    "password_based:built_in_database",
    "User names and passwords of a file: mqttd passwd.",
    "mqttd.auth.password_file.make",
)
scram = AuthenticatorPlugin(
    "scram:built_in_database",
    "SCRAM (MQTT 5) with the users of a file: mqttd passwd set --scram.",
    "mqttd.auth.scram_file.make",
)
jwt = AuthenticatorPlugin(
    "jwt",
    "Signed tokens (JWT), by secret, public key or JWKS.",
    "mqttd.auth.jwt_authenticator.make",
)
certificate = AuthenticatorPlugin(
    "certificate",
    "Client certificates by names and fingerprints.",
    "mqttd.auth.certificate.make",
)
psk = AuthenticatorPlugin(
    "psk",
    "Pre-shared keys by their identities.",
    "mqttd.auth.psk.make",
)
cred = AuthenticatorPlugin(
    "cred",
    "Any checker of twisted.cred.",
    "mqttd.auth.cred.make",
)
acl_file = AuthorizerPlugin(
    "file",
    "Rules of a file, or of the configuration itself.",
    "mqttd.authz.rule_file.make",
)
acl_mosquitto = AuthorizerPlugin(
    "mosquitto",
    "Rules in the format of mosquitto's acl_file.",
    "mqttd.authz.mosquitto_acl.make",
)
acl_http = AuthorizerPlugin(
    "http",
    "Asks an HTTP server.",
    "mqttd.authz.http_authorizer.make",
)
