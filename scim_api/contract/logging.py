"""Structured logs: one event per fact, JSON on stderr (readable text on a terminal), never a token."""

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from typing import Final


@contextlib.contextmanager
def _as_if_not_installed(package: str) -> Iterator[None]:
    """What is imported within does not find the package, unless that was imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # https://docs.python.org/3/reference/import.html#the-module-cache
    try:
        yield
    finally:
        del sys.modules[package]


# structlog imports rich where it is installed, for tracebacks that are not wanted here, with local variables in them.
# That is a sixth of what `scim-api serve` would take to start.
with _as_if_not_installed("rich"):
    import structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED: Final = "[redacted]"
_SECRETS: Final = re.compile(
    r"sc[tsa]_[0-9A-Za-z]{8,}|c2N[0zh]X[0-9A-Za-z+/_=-]{10,}|eyJ[\w-]{10,}\.[\w-]+\.[\w-]+"
)
"""A token of any kind, the base64 of one as in a Secret's ``data``, or a JWT; deliberately wider than ``tokens.PATTERN``."""
_KOPF_IN_A_THREAD: Final = "OS signals are ignored"
_QUIET: Final = (
    "kopf",
    "kubernetes",
    "kubernetes.aio",
    "client",
    "httpx",
    "httpcore",
    "aiohttp",
    "asyncio",
    "urllib3",
)
"""Libraries whose debug and info lines nobody needs; some of them print whole bodies at debug."""


def configure(level: str) -> None:
    """Send everything, the libraries' warnings included, to stderr in one form.

    Args:
        level: our own level: debug, info, warning or error.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    terminal = (
        sys.stderr.isatty()
    )  # where tracebacks would show local variables, and wrap them, if rich is there
    last: list[Processor] = (
        [redact, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, redact_line],
        )
    )
    handler.addFilter(_unless_expected)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take what looks like a token out of every string of the event; the last line of defence."""
    return {name: _clean(value) for name, value in event.items()}


def redact_line(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    """The same for the finished line, whatever the values were before they were text."""
    return _SECRETS.sub(REDACTED, str(line))


def _clean(value: object) -> object:
    return _SECRETS.sub(REDACTED, value) if isinstance(value, str) else value


def _unless_expected(record: logging.LogRecord) -> bool:
    """Drop kopf's warning that it takes no signals in its thread, which is why it is there."""
    return _KOPF_IN_A_THREAD not in str(record.msg)
