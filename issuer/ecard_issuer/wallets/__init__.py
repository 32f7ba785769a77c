"""Wallets that we did not write: OpenID4VCI 1.0, from the offer to the credential, with an authorization server of its
own at `{origin}/wallets`."""
