"""What channels are told of their links: a log for each, read by webhooks and by `GET /v1/events`."""
