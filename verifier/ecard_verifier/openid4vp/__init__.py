"""OpenID4VP 1.0: wallets that are not ours show what they hold."""
