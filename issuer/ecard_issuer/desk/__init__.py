"""The agent on a clerk's machine: what lies between a card reader and the desk page."""
