"""Who may use a database at the same time: one server, or servers whose order Redis gives."""

from __future__ import annotations


def in_use(database: str, *, shared: bool) -> str:
    """Why a server that means to share a database, or not to, may not use it now."""
    who = "a server without Redis" if shared else "another server"
    return f"{who} uses {database}; several need Redis: set COLLAB_REDIS_URL for each of them"
