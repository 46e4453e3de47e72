"""What the broker does on each Control Packet; mirrors ``mqttd.packets``."""
