"""What the client does, without doing it: no socket, no clock, no sleep. Both clients drive this one."""
