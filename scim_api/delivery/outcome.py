"""What an attempt means: done, to be tried again, a receiver that wants a rest, or one that wants no more."""

import dataclasses
import email.utils
import enum
from datetime import UTC, datetime
from typing import Final

from scim_api.delivery.schedule import DAY
from scim_api.outbound.pinned_client import Answer, NotAnswered
from scim_api.store.webhooks import MAX_FAILURE

_SLOW_DOWN: Final = frozenset({429, 502, 504})
_WHY: Final = {
    "refused": "address refused",
    "dns": "DNS",
    "tls": "TLS",
    "connect": "connection",
    "answer": "answer",
}


class Result(enum.StrEnum):
    """Also the metric's label."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    """The receiver answered something else than 2xx."""
    SLOW_DOWN = "slow_down"
    """It asks to be sent less: 429, 502, 504 or Retry-After."""
    UNREACHABLE = "unreachable"
    """No answer came."""
    GONE = "gone"
    """410: it wants no more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt."""

    result: Result
    reason: str = ""
    """At most ``MAX_FAILURE`` characters; with the beginning of what the receiver wrote."""
    retry_after: float = 0.0
    """Seconds that the receiver asks for, at most a day."""


def outcome_of_answer(answer: Answer, now: datetime) -> Outcome:
    """What a response means (Standard Webhooks 1.0.0); a redirect is a failure as others are."""
    if 200 <= answer.status < 300:
        return Outcome(Result.DELIVERED)
    retry_after = read_retry_after(answer.headers.get("retry-after", ""), now)
    text = " ".join(answer.body[: 4 * MAX_FAILURE].decode(errors="replace").split())
    said = "".join(letter for letter in text if letter.isprintable())
    reason = f"HTTP {answer.status}" + (f": {said}" if said else "")
    if answer.status == 410:
        result = Result.GONE
    elif answer.status in _SLOW_DOWN or retry_after:
        result = Result.SLOW_DOWN
    else:
        result = Result.REJECTED
    return Outcome(result, reason[:MAX_FAILURE], retry_after)


def outcome_of_failure(error: NotAnswered) -> Outcome:
    """What it means that there is no answer."""
    return Outcome(Result.UNREACHABLE, f"{_WHY[error.failure]}: {error}"[:MAX_FAILURE])


def outcome_of_timeout(seconds: float) -> Outcome:
    """What it means that the time was over; the receiver may have taken the message."""
    return Outcome(Result.REJECTED, f"timeout: no whole answer within {seconds:g} s")


def read_retry_after(text: str, now: datetime) -> float:
    """Seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3), at most a day; 0 for none."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), DAY)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), DAY)
