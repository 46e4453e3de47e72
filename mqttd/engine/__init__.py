"""What keeps sessions, messages and retained messages."""
