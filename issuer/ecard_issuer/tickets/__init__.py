"""Tickets and sessions: how a page that shows an e-card is let in by its channel's own back end, and for how long."""
