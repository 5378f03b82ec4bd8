"""The asyncio client: for people's scripts, bots, tests and benchmarks.

    from collab import client

    token = await client.guest_token(url, "Ada")
    document = await client.create_document(url, token, "Notes")
    async with client.connect(url, document, token=token) as editor:
        editor.insert(0, "Hello")
        await editor.saved()

`replica` is the client's half of the protocol as a state machine; `connection` takes it over a
WebSocket; `editor` is what a program holds. It connects straight to the server, past any proxy that
the environment names.
"""

from collab.backoff import Backoff
from collab.client.editor import Editor, connect
from collab.client.errors import Rejected
from collab.client.rest import create_document, guest_token, read_text

__all__ = [
    "Backoff",
    "Editor",
    "Rejected",
    "connect",
    "create_document",
    "guest_token",
    "read_text",
]
