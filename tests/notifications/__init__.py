"""Deliveries in virtual time: whole days of receivers, queues and crashes in seconds, from one seed."""
