"""Why a handshake failed, and what to do about it."""
