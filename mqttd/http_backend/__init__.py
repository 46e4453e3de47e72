"""Asks HTTP servers of the operator about clients: for authentication and for authorization."""
