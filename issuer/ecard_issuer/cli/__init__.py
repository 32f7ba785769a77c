"""The issuer's commands: one module per word after `ecard`, each with `register`."""
