"""What the service runs beside the broker: trust, reloading, live checks."""
