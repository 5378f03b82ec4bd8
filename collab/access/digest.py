"""What stands for something secret, or long."""

from __future__ import annotations

import base64
import hashlib
import json


def digest(*parts: str) -> str:
    """A hash of these parts, in this order: 43 of `A-Z a-z 0-9 _ -`."""
    hashed = hashlib.sha256(json.dumps(parts).encode()).digest()
    return base64.urlsafe_b64encode(hashed).decode().rstrip("=")
