"""What the annotation ``scim-operator.io/revoke`` selects, and which of it waits until Entra has the successor. Pure."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_operator.api.scimtoken import format_time
from scim_operator.planning.token_ledger import LedgerEntry

ALL_SUPERSEDED: Final = "all-superseded"
"""Revoke all but the token in the Secret and its successor under way."""
REVOCATION_WAIT: Final = timedelta(minutes=15)
"""For how long after a credential was superseded its revocation waits for Entra at most: a leaked credential must not
live on because a hand-over fails."""

MAX_TOKENS_IN_MESSAGE: Final = 3
"""Tokens that the message about a wait names."""


class InvalidRevokeRequest(Exception):
    """The revoke annotation is invalid; the message says what to write.

    Attributes:
        valid_from: when it becomes valid by itself; None: never.
    """

    def __init__(self, message: str, valid_from: datetime | None = None) -> None:
        super().__init__(message)
        self.valid_from = valid_from


@dataclasses.dataclass(frozen=True, slots=True)
class DelayedRevocation:
    """A revocation that the annotation asks for and that waits until Entra uses the active credential."""

    id: str
    until: datetime
    """When it is carried out at the latest."""


def tokens_to_revoke(
    request: str | None, live: Mapping[str, LedgerEntry], now: datetime, kept: Iterable[LedgerEntry | None]
) -> frozenset[str]:
    """Ids that the revoke annotation selects.

    Args:
        request: the annotation's value.
        live: unexpired tokens by id.
        now: the database's clock.
        kept: what is not superseded: the active token and the pending one, where there are.

    Raises:
        InvalidRevokeRequest: the annotation is invalid.
    """
    if not request:
        return frozenset()
    if request == ALL_SUPERSEDED:
        return frozenset(live.keys() - {entry.id for entry in kept if entry is not None})
    if request.startswith("all-before/"):
        limit = _parse_time(request.removeprefix("all-before/"))
        if limit > now:
            raise InvalidRevokeRequest(
                f"{request}: that time has not come yet; write one up to now, {format_time(now)}", limit
            )
        return frozenset(entry.id for entry in live.values() if entry.issued_at < limit)
    return frozenset({request} & live.keys())


def delayed_revocations(
    selected: Iterable[LedgerEntry], ends_at: Callable[[LedgerEntry], datetime], now: datetime
) -> tuple[DelayedRevocation, ...]:
    """Those of the selected tokens whose revocation waits while Entra does not use the active one.

    A bearer token waits no longer than to its own end. A client secret that ends sooner by itself does not wait: once it
    has retired, nobody reaches its access tokens any more. Neither does one without a time at which it was superseded, or with one that has not come: nothing would
    bound its wait.

    Args:
        selected: what the annotation selects.
        ends_at: when a token ends without the annotation.
        now: the database's clock.
    """
    delayed = []
    for entry in selected:
        since, end = entry.superseded_at, ends_at(entry)
        if since is None or since > now:
            continue
        until = since + REVOCATION_WAIT
        if entry.kind == "BearerToken":
            until = min(until, end)
        elif until >= end:
            continue
        if now < until:
            delayed.append(DelayedRevocation(entry.id, until))
    return tuple(sorted(delayed, key=lambda item: (item.until, item.id)))


def delay_message(delayed: Sequence[DelayedRevocation], active_id: str) -> str:
    """The sentence about revocations that wait.

    Args:
        delayed: at least one.
        active_id: the token in the Secret, which Entra does not use yet.
    """
    names = ", ".join(item.id for item in delayed[:MAX_TOKENS_IN_MESSAGE])
    if len(delayed) > MAX_TOKENS_IN_MESSAGE:
        names += f" and {len(delayed) - MAX_TOKENS_IN_MESSAGE} more"
    latest = format_time(max(item.until for item in delayed))
    return f"The revocation of {names} waits until Entra uses {active_id}, at the latest until {latest}"


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRevokeRequest(
            f"all-before/{text[:40]}: write an RFC 3339 time, such as 2026-11-23T14:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
