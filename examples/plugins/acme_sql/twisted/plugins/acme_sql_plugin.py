"""What acme-sql declares; its code is imported when the configuration chooses it."""

from mqttd.plugins import AuthenticatorPlugin

acme_sql = AuthenticatorPlugin(
    "acme-sql",
    "Users of an SQL database.",
    "acme_sql.make",
)
