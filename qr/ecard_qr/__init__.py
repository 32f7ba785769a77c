"""Code payload and code picture. This room knows bytes and pictures; it verifies nothing."""
