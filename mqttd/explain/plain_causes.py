"""Why a connection is refused apart from TLS: rules, limits, PROXY headers, WebSocket, time."""

from __future__ import annotations

from typing import Final

from mqttd.explain.cause import Cause, table


def _cause(kind: str, words: str, cure: str, *, detail: bool = False) -> Cause:
    return Cause(kind, words, cure, tls=False, detail=detail)


PLAIN_CAUSES: Final = table(
    _cause(
        "access-rules",
        "the listener's access_rules do not allow the address",
        'add "allow ADDRESS" to access_rules of the listener, before the rule that denies it',
    ),
    _cause(
        "max-connections",
        "the listener has as many connections as max_connections allows",
        "raise max_connections of the listener, or look who holds them: mqttd ctl clients list",
        detail=True,
    ),
    _cause(
        "max-conn-rate",
        "connections come faster than max_conn_rate allows",
        "raise max_conn_rate of the listener; have clients wait longer before they reconnect",
    ),
    _cause(
        "banned",
        "the address is on the list of bans",
        "look at the entry: mqttd ctl banned list; mqttd ctl banned remove takes it out",
        detail=True,
    ),
    _cause(
        "auth-backoff",
        "too many authentications from the address have failed",
        "mend the user name or password of the clients there; abuse.failed_auth sets the limits",
        detail=True,
    ),
    _cause(
        "address-connections",
        "the address has as many connections as abuse.per_address.max_connections allows",
        "raise it, or add the address to abuse.exempt if many clients share it",
        detail=True,
    ),
    _cause(
        "address-rate",
        "connections from the address come faster than abuse.per_address.conn_rate allows",
        "raise it, or add the address to abuse.exempt if many clients share it",
    ),
    _cause(
        "address-handshakes",
        "the address has as many unfinished TLS handshakes as abuse.per_address.max_handshakes "
        "allows",
        "raise it, or add the address to abuse.exempt if many clients share it",
        detail=True,
    ),
    _cause(
        "handshake-rate",
        "handshakes of TLS from the address begin faster than "
        "abuse.per_address.handshake_rate allows",
        "raise it, or add the address to abuse.exempt if many clients share it",
    ),
    _cause(
        "tls-to-plain",
        "the client speaks TLS, and this port is without TLS",
        "let it connect to the port of an ssl listener (8883) or wss listener (8084), or turn TLS "
        "off in the client",
    ),
    _cause(
        "http-to-mqtt",
        "the client speaks HTTP or WebSocket, and this port wants plain MQTT",
        "let it connect to the port of a ws listener (8083) or wss listener (8084)",
    ),
    _cause(
        "proxy-to-mqtt",
        "a PROXY protocol header came, and this listener expects none",
        "set proxy_protocol = true on this listener, or turn it off in the load balancer",
    ),
    _cause(
        "not-mqtt",
        "what came is not MQTT",
        "let it connect to the port of the right listener (mqttd ctl listeners)",
        detail=True,
    ),
    _cause(
        "no-proxy-header",
        "the connection does not begin with a valid PROXY protocol header",
        "turn the header on in the load balancer (send-proxy-v2), and let clients connect to the "
        "balancer, or set proxy_protocol = false on this listener",
        detail=True,
    ),
    _cause(
        "timeout-proxy",
        "no PROXY protocol header came within proxy_protocol_timeout",
        "turn the header on in the load balancer, or set proxy_protocol = false",
    ),
    _cause(
        "timeout-websocket",
        "the WebSocket was not open within mqtt.idle_timeout",
        "look for a client that connects and says nothing",
    ),
    _cause(
        "timeout",
        "the client took too long before MQTT began",
        "look for a client that connects and says nothing",
    ),
    _cause(
        "websocket",
        "the request for a WebSocket was refused",
        "use ws(s)://HOST:PORT/mqtt with the subprotocol mqtt, as the client's options allow",
        detail=True,
    ),
    _cause(
        "websocket-path",
        "the request is for another path than websocket.mqtt_path",
        "use the path /mqtt in the client, or set websocket.mqtt_path of the listener",
    ),
    _cause(
        "websocket-subprotocol",
        "the client asks for no WebSocket subprotocol spoken here",
        "have it ask for mqtt, or set websocket.fail_if_no_subprotocol = false",
    ),
    _cause(
        "websocket-origin",
        "the page the client runs in is not among the allowed origins",
        "add its origin to websocket.check_origins",
    ),
    _cause(
        "websocket-not-upgrade",
        "a plain HTTP request came, not one for a WebSocket",
        "use an MQTT client with ws:// or wss://; a browser's address bar opens no WebSocket",
    ),
    _cause(
        "websocket-closed",
        "the client closed the WebSocket before MQTT began",
        "look at the client's own log",
        detail=True,
    ),
    _cause(
        "websocket-frame",
        "the client broke the WebSocket protocol",
        "update the client's WebSocket library",
        detail=True,
    ),
    _cause(
        "closed",
        "the client closed the connection before MQTT began",
        "nothing, if a load balancer or monitor checks the port; else look at the client's log",
    ),
    _cause(
        "stopping",
        "the broker or the listener is being stopped",
        "connect again when it runs",
    ),
)
