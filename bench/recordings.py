"""Recorded editing sessions, as the updates that typing them again sends.

The files are gzipped JSON of the collection josephg/editing-traces, read from `COLLAB_TRACES`
(default `../shared/traces`). Positions there count code points, here UTF-16 code units (T1).
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.merged import who_typed

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("automerge-paper", "friendsforever", "json-crdt-patch")


@dataclass(frozen=True)
class Recording:
    """A session of one or two authors, one update for each edit, in one order."""

    name: str
    authors: list[int]
    """Who typed each edit, from 0."""
    updates: list[bytes]
    """Each edit as JSON (T3), on the text that the edits before it make."""
    text: str
    """What the edits make, all together."""


def folder() -> Path:
    """Where the recordings are. Raises FileNotFoundError where there are none."""
    path = Path(os.environ.get("COLLAB_TRACES", "../shared/traces"))
    if not path.is_dir():
        raise FileNotFoundError(f"no recordings at {path}: set COLLAB_TRACES to their folder")
    return path


def load(name: str, limit: int | None = None) -> Recording:
    """A recording, or its first `limit` edits. Raises ValueError if it does not replay."""
    if name == "friendsforever":
        flat = _read(f"{name}_flat")
        authors = who_typed(_read(name)["txns"], flat["txns"])
    else:
        flat = _read(name)
        authors = [0] * len(flat["txns"])
    edits = [
        (author, patch)
        for author, transaction in zip(authors, flat["txns"], strict=True)
        for patch in transaction["patches"]
    ]
    updates, text = _retype(flat["startContent"], (patch for _, patch in edits[:limit]))
    if limit is None and text != flat["endContent"]:
        raise ValueError(f"{name} does not end with its endContent")
    return Recording(name, [author for author, _ in edits[:limit]], updates, text)


def _read(name: str) -> dict[str, Any]:
    with gzip.open(folder() / f"{name}.json.gz") as file:
        recording: dict[str, Any] = msgspec.json.decode(file.read())
        return recording


def _retype(text: str, patches: Iterable[tuple[int, int, str]]) -> tuple[list[bytes], str]:
    """The patches as changes in units, and the text they make."""
    if text:
        raise ValueError("a document begins empty, and so must a recording")
    updates: list[bytes] = []
    length = 0  # units
    for position, count, insert in patches:
        deleted = text[position : position + count]
        start, cut = _units(text[:position]), _units(deleted)
        sections = [start, [cut, *insert.split("\n")] if insert else [cut], length - start - cut]
        updates.append(msgspec.json.encode([section for section in sections if section != 0]))
        text = text[:position] + insert + text[position + count :]
        length += _units(insert) - cut
    return updates, text


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
