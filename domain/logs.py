"""Structured logs: JSON lines on standard error, with ids and never a name or a token."""

import logging
import sys
import traceback
from pathlib import Path

import structlog


def configure_logs(*, is_quiet: bool = False) -> None:
    """`is_quiet`: warnings and worse only, for commands that print for a person."""
    level = logging.WARNING if is_quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def frames_of(error: BaseException) -> list[str]:
    """Where it happened. Its text stays out: a database's quotes rows, a parser's an answer."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
