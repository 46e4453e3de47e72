"""Who comes in: authenticators and the chain that asks them."""
