"""The issuer over HTTP: routes only; the use cases know nothing of it."""
