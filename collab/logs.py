"""The server's log: lines for people on a terminal, JSON for machines anywhere else."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

_QUERY = re.compile(r"\?[^\s\"']+")


def set_up(level: str, stream: TextIO) -> None:
    """Send every logger's lines to `stream`, in one form. `level` is the lowest that is logged."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(for_people=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    quieten_libraries()


def quieten_libraries() -> None:
    """Keep tokens out of the log, which uvicorn would write there in two ways.

    At INFO it logs each WebSocket's address, whose query holds the token; at DEBUG `websockets`
    logs each header by uvicorn's logger. So DEBUG is never on for it, and what it logs loses its
    queries.
    """
    for name in ("uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not any(isinstance(each, WithoutQueries) for each in logger.filters):
            logger.addFilter(WithoutQueries())
    logging.getLogger("alembic").setLevel(logging.WARNING)


class WithoutQueries(logging.Filter):
    """Takes the query out of every address that a record names."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _QUERY.sub("", record.getMessage()), None
        return True


def _rendering(*, for_people: bool) -> list[Processor]:
    # Tracebacks without the values of local variables: these hold tokens and texts.
    if for_people:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
