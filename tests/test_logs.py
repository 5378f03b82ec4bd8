"""What reaches the log, and what never does."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from collab import logs

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def others_logging() -> Iterator[None]:
    """Logging is the process's: leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_json_where_no_terminal_is() -> None:
    stream = io.StringIO()
    logs.set_up("info", stream)
    structlog.get_logger("collab.rooms").warning("cannot open", document="d")
    line = json.loads(stream.getvalue())
    del line["timestamp"]
    expected = {"event": "cannot open", "document": "d", "level": "warning"}
    assert line == {**expected, "logger": "collab.rooms"}


def test_a_line_is_for_people_on_a_terminal() -> None:
    stream = Terminal()
    logs.set_up("info", stream)
    structlog.get_logger("collab.rooms").warning("cannot open", document="d")
    assert "cannot open" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_a_library_s_line_has_the_same_form() -> None:
    stream = io.StringIO()
    logs.set_up("info", stream)
    logging.getLogger("somebody").info("%d things", 3)
    assert json.loads(stream.getvalue())["event"] == "3 things"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_a_traceback_does_not_show_what_variables_hold(stream: io.StringIO) -> None:
    logs.set_up("info", stream)
    token = "".join(["se", "cret"])  # not in the source, which a traceback quotes
    try:
        int(f"0x{len(token)}")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: invalid literal" in stream.getvalue()
    assert token not in stream.getvalue()


def test_the_level_is_the_lowest_that_is_logged() -> None:
    stream = io.StringIO()
    logs.set_up("warning", stream)
    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access"])
@pytest.mark.parametrize(
    ("message", "arguments", "logged"),
    [
        (
            '%s - "WebSocket %s" [accepted]',
            ("127.0.0.1:5", "/v1/documents/d/live?token=secret&client=c"),
            '127.0.0.1:5 - "WebSocket /v1/documents/d/live" [accepted]',
        ),
        (
            '%s - "%s %s HTTP/%s" %d',
            ("127.0.0.1:5", "GET", "/v1/documents/d/live?token=secret", "1.1", 403),
            '127.0.0.1:5 - "GET /v1/documents/d/live HTTP/1.1" 403',
        ),
        ("cannot serve /live?token=secret now", (), "cannot serve /live now"),
        ("why? nobody knows", (), "why? nobody knows"),
        ("%(path)s", ({"path": "/live?token=secret"},), "/live"),
        ("%s", (ValueError("/live?token=secret"),), "/live"),
    ],
)
def test_no_query_of_an_address_is_logged(
    name: str,
    message: str,
    arguments: tuple[object, ...],
    logged: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A server without an access log has cut this logger off in the same process.
    monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    stream = io.StringIO()
    logs.set_up("debug", stream)
    logging.getLogger(name).warning(message, *arguments)
    assert json.loads(stream.getvalue())["event"] == logged


def test_uvicorn_is_never_at_debug_where_headers_are_logged() -> None:
    logs.set_up("debug", io.StringIO())
    logs.set_up("debug", io.StringIO())  # twice is once
    logger = logging.getLogger("uvicorn.error")
    assert not logger.isEnabledFor(logging.INFO)
    assert len([each for each in logger.filters if isinstance(each, logs.WithoutQueries)]) == 1
