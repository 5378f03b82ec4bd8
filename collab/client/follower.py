"""What happened to a text between two looks at it, as one change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.text.difference import difference

if TYPE_CHECKING:
    from collab.text import Change, Text

MAX_CHANGES = 1_000
"""The most that is kept to be told exactly; what is more is told as the difference of the texts."""


class Follower:
    """`take` gives the change from the text at the last look to the text now.

    It keeps a bounded number of changes, however long nobody looks.
    """

    def __init__(self, text: Text) -> None:
        self.has_news = False
        """Whether somebody else changed the text since the last look."""
        self._seen = text
        self._since: list[Change] = []

    def add(self, change: Change) -> None:
        if len(self._since) <= MAX_CHANGES:
            self._since.append(change)

    def take(self, text: Text) -> Change:
        """`text` is the text now; there is at least one change since the last look."""
        since, before = self._since, self._seen
        self._since, self._seen, self.has_news = [], text, False
        if len(since) > MAX_CHANGES:
            return difference(str(before), str(text))
        whole = since[0]
        for change in since[1:]:
            whole = whole.compose(change)
        return whole
