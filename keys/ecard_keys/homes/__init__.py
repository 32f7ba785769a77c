"""Where private keys live: an encrypted file, OpenBao or Vault, an HSM; and how one is chosen."""
