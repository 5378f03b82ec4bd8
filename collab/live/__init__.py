"""The WebSocket side: the messages of the live protocol, sessions, and how they are carried."""
