"""TLS as a sans-I/O channel, and the contexts it runs on."""
