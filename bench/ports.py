"""Ports of the loopback address for servers that must be told theirs before they start."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_000)
"""Below those that the system gives to who asks for any: it gives none of these away while a server
is about to start, or between two of its lives.
"""


def free_port(*offsets: int) -> int:
    """One that nobody has, nor those that are so far above it."""
    while True:
        port = random.choice(PORTS)
        if all(_is_free(port + offset) for offset in (0, *offsets)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
