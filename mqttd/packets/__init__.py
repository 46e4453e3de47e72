"""Bytes to Control Packets and back; standard library only."""
