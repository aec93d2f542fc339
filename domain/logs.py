"""Structured logs: JSON lines on standard error, with ids and never a name or a token."""

import logging
import sys
import traceback
from pathlib import Path

import structlog
from typing_extensions import override


def configure_logs(*, is_quiet: bool = False) -> None:
    """`is_quiet`: warnings and worse only, and of our own, for commands that print for a person."""
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
    if not is_quiet:
        logging.lastResort = _OfLibraries(logging.WARNING)


class _OfLibraries(logging.Handler):
    """What libraries say goes into the same log, without the values: they may be anybody's."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        told = {"error": type(error).__name__, "frames": frames_of(error)} if error else {}
        structlog.get_logger().log(
            record.levelno, "library", logger=record.name, said=str(record.msg), **told
        )


def frames_of(error: BaseException) -> list[str]:
    """Where it happened. Its text stays out: a database's quotes rows, a parser's an answer."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
