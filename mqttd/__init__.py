"""mqttd: an MQTT broker (3.1, 3.1.1, 5.0) on Twisted whose strength is trust."""
