"""The control socket: HTTP over a Unix socket, for mqttd ctl."""
