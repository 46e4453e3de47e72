"""What acme-home declares; its code is imported when the configuration chooses it."""

from mqttd.plugins import AuthorizerPlugin

acme_home = AuthorizerPlugin(
    "acme-home",
    "A prefix of topics for everybody, for mqttd.",
    "acme_home.make",
)
