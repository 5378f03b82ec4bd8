"""Where the built parts of `web/` are. `make test` builds them."""

from __future__ import annotations

from pathlib import Path

WEB = Path(__file__).parents[1] / "web"


def built(path: str) -> Path:
    """Raises FileNotFoundError with what to do."""
    file = WEB / path
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there: build it with `make build`")
    return file
