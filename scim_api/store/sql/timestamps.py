"""The one form in which times are stored: text whose order is the order of time."""

from datetime import UTC, datetime, timedelta


def to_text(moment: datetime) -> str:
    """``2026-11-23T14:00:00.123456Z``; a moment without a zone is taken as UTC. One that is in UTC out of the years 1 to
    9999, becomes the first or the last of them.
    """
    try:
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        utc = datetime.min if moment.year == 1 else datetime.max  # noqa: DTZ901 - its zone is left out below
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """The moment written by ``to_text``."""
    return datetime.fromisoformat(text)


def text_of_posix(seconds: float) -> str:
    """The text of a POSIX time."""
    return to_text(datetime.fromtimestamp(seconds, UTC))


def to_posix(text: str) -> float:
    """The POSIX time of a stored moment, in seconds."""
    return from_text(text).timestamp()


def text_after(text: str, seconds: float) -> str:
    """The text of a moment so many seconds after that of another."""
    return to_text(from_text(text) + timedelta(seconds=seconds))
