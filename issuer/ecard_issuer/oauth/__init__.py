"""OAuth 2.0 as an authorization server and its resources need it: client assertions, DPoP, tokens, values taken once.

Knows of no channel, wallet or site: whoever serves those hands in keys, names and times.
"""
