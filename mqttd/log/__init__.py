"""The log: how lines look, where they go, and the packet trace."""
