"""What keeps clients from using up the broker: limits, back-off, bans; no sockets in here."""
