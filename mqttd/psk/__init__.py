"""Pre-shared keys: their file, and the store that answers handshakes."""
