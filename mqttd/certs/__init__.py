"""A small certificate authority, and the checks of certificate files."""
