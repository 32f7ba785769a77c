"""What the two HTTP services share, and the verifier's own application."""
