"""Links (关联): a channel identifies a holder, claims their e-card (领取), shows codes, and releases it (解除关联)."""
