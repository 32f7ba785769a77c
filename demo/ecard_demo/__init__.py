"""The story told by `ecard demo`: a desk, a phone and a counter that use the authority as outsiders do."""
