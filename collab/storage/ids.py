"""Names that nobody can guess."""

from __future__ import annotations

import base64
import secrets


def new_id() -> str:
    """128 random bits as 26 of `a-z 2-7`: safe in a URL, and one word to a double click."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
