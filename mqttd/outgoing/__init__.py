"""Connections to the outside: TLS as a client, and HTTP with bounds."""
