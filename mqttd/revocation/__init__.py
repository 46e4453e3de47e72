"""Is this certificate revoked? CRL, OCSP, and the policy that combines the answers."""
