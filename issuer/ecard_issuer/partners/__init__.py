"""Partners who are told when a card's status changes: shared signals by push and poll, and webhooks.

A partner's stream is a cursor over the feed. Filing moves the cursor and gives each event that the partner is to hear
of a number; sending makes the event from the card's outbox row, signs it and delivers it.
"""
