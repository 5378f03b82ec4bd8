"""What the commands of benches have in common: cores for the server and for the load, and figures
that are kept as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVER_CORE, LOAD_CORE = 0, 1


def parser(description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--no-pin", action="store_true", help="let server and load run on any core they like"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there")
    return made


def cores(options: argparse.Namespace) -> tuple[int | None, int | None]:
    """That of the server, and that of the load; None where they may run anywhere."""
    return (None, None) if options.no_pin else (SERVER_CORE, LOAD_CORE)


def keep(options: argparse.Namespace, rows: Iterable[dict[str, Any]]) -> None:
    """Write the figures to the file that was asked for: seconds, bytes and counts, one object for
    each row of the table.
    """
    if options.json is not None:
        options.json.write_text(json.dumps(list(rows), indent=1) + "\n")
