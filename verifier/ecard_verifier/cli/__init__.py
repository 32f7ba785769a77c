"""Commands of the verifier; each module has `register(subparsers)`."""
