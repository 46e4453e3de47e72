"""One-way TLS, two-way TLS and pre-shared keys with paho-mqtt."""

import ssl
import sys

import paho.mqtt.client as mqtt

TOPIC = "greetings/world"


def tls_context(mode: str, arguments: list[str]) -> ssl.SSLContext:
    """The TLS of one mode; the broker's certificate and its name are always checked."""
    if mode == "psk":
        identity, key = arguments
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A pre-shared key proves both sides: there is no certificate to check.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")
        context.set_psk_client_callback(lambda _hint: (identity, bytes.fromhex(key)))
        return context
    context = ssl.create_default_context(cafile=arguments[0])
    if mode == "two-way":
        context.load_cert_chain(certfile=arguments[1], keyfile=arguments[2])
    return context


def on_connect(client, _data, _flags, reason_code, _properties) -> None:
    """The broker answered: subscribe, or say why not."""
    if reason_code.is_failure:
        sys.exit(f"refused: {reason_code}")
    client.subscribe("greetings/#", qos=1)


def on_subscribe(client, _data, _mid, _reason_codes, _properties) -> None:
    """The Subscription stands: publish."""
    client.publish(TOPIC, "hello from Python", qos=1)


def on_message(client, _data, message) -> None:
    """Our own message came back."""
    print(message.topic, message.payload.decode())
    client.disconnect()


def main() -> None:
    """HOST PORT MODE ARGUMENTS..."""
    host, port, mode, *arguments = sys.argv[1:]
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.tls_set_context(tls_context(mode, arguments))
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect(host, int(port))
    client.loop_forever()


main()
