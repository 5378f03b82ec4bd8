"""What one server has sent to be ordered and not heard yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collab.log.entry import Entry


class Sent:
    """Entries by client and seq, and by their bytes."""

    def __init__(self) -> None:
        self._encoded: dict[tuple[str, int], bytes] = {}
        self._entries: dict[bytes, Entry] = {}
        self._unknown: dict[tuple[str, int], None] = {}

    def add(self, entry: Entry) -> bytes:
        """Returns its bytes."""
        encoded = self._encoded[entry.client, entry.seq] = entry.encode()
        self._entries[encoded] = entry
        return encoded

    def find(self, encoded: bytes) -> Entry | None:
        """The entry that has these bytes, if it was sent from here."""
        return self._entries.get(encoded)

    def forget(self, client: str, seq: int) -> Entry | None:
        """What was sent under this client and seq: it was heard, or it never will be."""
        self._unknown.pop((client, seq), None)
        encoded = self._encoded.pop((client, seq), None)
        return None if encoded is None else self._entries.pop(encoded, None)

    def doubt(self, entry: Entry) -> None:
        """Nobody knows whether it arrived."""
        if (entry.client, entry.seq) in self._encoded:
            self._unknown[entry.client, entry.seq] = None

    def doubt_all(self) -> None:
        self._unknown.update(dict.fromkeys(self._encoded))

    def unknown(self) -> list[tuple[str, int]]:
        """The client and seq of those whose fate is not known."""
        return list(self._unknown)

    def is_unknown(self, client: str, seq: int) -> bool:
        return (client, seq) in self._unknown
