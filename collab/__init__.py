"""Collab: a backend for collaborative text editing."""
