"""Makes ``mqttd`` a subcommand of twistd and twist; mqttd is imported when it is chosen."""

from twisted.application.service import ServiceMaker

mqttd = ServiceMaker("mqttd", "mqttd.tap", "An MQTT broker (3.1, 3.1.1, 5.0).", "mqttd")
