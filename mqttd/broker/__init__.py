"""MQTT behaviour: no I/O, no clock, no log."""
