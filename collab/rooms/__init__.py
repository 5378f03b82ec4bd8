"""Rooms: the state machine over a document's log, and what its sessions share."""
