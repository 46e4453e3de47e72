"""Twisted: the only place with transports."""
