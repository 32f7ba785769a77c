# Added to vault-sign.hcl for whoever makes and destroys keys: a role of its own, used only while that is done.
# Only P-256 keys that cannot be exported: no other parameter is allowed. Rotation, trimming, export, import and backup
# have paths of their own, which nobody is given.
path "transit/keys/+" {
  capabilities = ["create", "update", "read", "delete"]
  allowed_parameters = {
    "type" = ["ecdsa-p256"]
  }
}

# The server deletes a key only after this was set.
path "transit/keys/+/config" {
  capabilities = ["update"]
  allowed_parameters = {
    "deletion_allowed" = [true]
  }
}
