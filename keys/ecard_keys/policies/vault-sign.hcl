# The signing service: signs with our keys and reads their public halves; makes, changes and removes nothing.
# "transit" is the mount, best one of our own; "ecard-" the prefix of our keys' names. Change them with the settings.
path "transit/sign/ecard-*" {
  capabilities = ["update"]
}

# "+" is one name: nothing below a key is opened here (rotate, config, trim).
path "transit/keys/+" {
  capabilities = ["read"]
}

# Listing rebuilds a lost archive of public halves.
path "transit/keys" {
  capabilities = ["list"]
}
