"""An observation, sorted into the life of a token: which tokens are live, active, pending or to be revoked.

Pure. ``planner`` decides on it.
"""

import dataclasses
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_api.contract.admin import Connection, TenantSettings
from scim_operator.api.scimtoken import ScimToken, format_time
from scim_operator.planning.actions import ObservedSecret, ObservedState
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger

ALL_SUPERSEDED: Final = "all-superseded"
"""Revoke all but the token in the Secret and its successor under way."""


class InvalidRevokeRequest(Exception):
    """The revoke annotation is invalid; the message says what to write."""


@dataclasses.dataclass(frozen=True, slots=True)
class TokenLifecycle:
    """The tokens of one ScimToken, by state."""

    token: ScimToken
    now: datetime
    connection: Connection
    secret: ObservedSecret | None
    live: Mapping[str, LedgerEntry]
    """Unexpired tokens by id that the Secret's ledger or the API has, without those already revoked."""
    active: LedgerEntry | None
    """The token that the Secret publishes."""
    pending: LedgerEntry | None
    """The token under ``next-token``."""
    to_revoke: frozenset[str]
    """Ids that the revoke annotation selects."""
    invalid_revoke: str | None
    """Why the revoke annotation is invalid."""
    settings: TenantSettings
    """The settings to register."""
    namespace_uid: str | None

    @classmethod
    def of(cls, token: ScimToken, observed: ObservedState) -> "TokenLifecycle":
        """Sort an observation; a revoke annotation that can't be understood is kept as a problem."""
        connection, secret, now = observed.connection, observed.secret, observed.now
        ledger = secret.ledger if secret is not None else TokenLedger()
        live = _live_tokens(connection, ledger, token.overlap, now)
        active = _token_with_digest(live.values(), secret.token if secret else None)
        pending = _token_with_digest(live.values(), secret.next_token if secret else None)
        to_revoke, invalid_revoke = frozenset[str](), None
        try:
            to_revoke = _tokens_to_revoke(token.revoke_request, live, now, active, pending)
        except InvalidRevokeRequest as error:
            invalid_revoke = str(error)
        if pending is not None and pending.id in to_revoke:
            pending = None
        registered_settings = connection.settings if observed.settings_refused else None
        return cls(
            token=token,
            now=now,
            connection=connection,
            secret=secret,
            live=live,
            active=active,
            pending=pending,
            to_revoke=to_revoke,
            invalid_revoke=invalid_revoke,
            settings=registered_settings or token.tenant_settings(),
            namespace_uid=observed.namespace_uid,
        )

    @property
    def ledger(self) -> TokenLedger:
        """What the Secret's annotation holds; empty without a Secret."""
        return self.secret.ledger if self.secret is not None else TokenLedger()

    @property
    def answered_rotate_request(self) -> str | None:
        """The rotate request that was answered. A lost ledger counts as having answered the present request:
        damage to an annotation is no reason to replace a good token.
        """
        return self.ledger.rotate if self.ledger.tokens else self.token.rotate_request

    @property
    def is_rotation_requested(self) -> bool:
        """Whether the rotate annotation asks for what was not done yet."""
        return self.token.rotate_request not in (None, self.answered_rotate_request)

    def request_due(self, interval: timedelta) -> datetime | None:
        """When the rotation that the annotation asks for may be done; None when it asks for none.

        Args:
            interval: the least time between two that were asked for.
        """
        if self.token.understood_spec.suspend or not self.is_rotation_requested:
            return None
        last = self.ledger.rotated_at
        # A time that has not come is somebody's edit: it must not put a rotation off for ever.
        return self.now if last is None or last > self.now else max(self.now, last + interval)

    def superseded(self) -> list[LedgerEntry]:
        """Live tokens that are neither active nor pending, each with the time since when."""
        kept = {entry.id for entry in (self.active, self.pending) if entry is not None}
        return [
            entry if entry.superseded_at is not None else dataclasses.replace(entry, superseded_at=self.now)
            for entry in self.live.values()
            if entry.id not in kept
        ]

    def superseded_in_time(self) -> list[LedgerEntry]:
        """Superseded tokens that have not retired; those to revoke included, which end after their successor
        is published.
        """
        return [entry for entry in self.superseded() if self.ends_at(entry) > self.now]

    def superseded_to_keep(self) -> list[LedgerEntry]:
        """Superseded tokens that stay in the ledger: neither retired nor to be revoked."""
        return [entry for entry in self.superseded_in_time() if entry.id not in self.to_revoke]

    def retires_at(self, entry: LedgerEntry) -> datetime | None:
        """When ``overlap`` ends a superseded token before its expiry; None when it does not."""
        overlap, since = self.token.overlap, entry.superseded_at
        if overlap is None or since is None or overlap >= entry.expires_at - since:
            return None
        return since + overlap

    def ends_at(self, entry: LedgerEntry) -> datetime:
        """When the API stops accepting a token: at its retirement, else at its expiry."""
        return self.retires_at(entry) or entry.expires_at


def registered_tokens_to_revoke(token: ScimToken, observed: ObservedState) -> frozenset[str]:
    """Ids that the revoke annotation selects among those that the API accepts, without a look at spec.

    ``all-superseded`` spares the token in the Secret; where none is found there, nobody can say which are superseded,
    and it selects none.

    Raises:
        InvalidRevokeRequest: the annotation is invalid.
    """
    secret = observed.secret if observed.secret is not None and observed.secret.owned else None
    live = _live_tokens(observed.connection, TokenLedger(), None, observed.now)
    active = _token_with_digest(live.values(), secret.token if secret else None)
    pending = _token_with_digest(live.values(), secret.next_token if secret else None)
    if active is None and token.revoke_request == ALL_SUPERSEDED:
        return frozenset()
    return _tokens_to_revoke(token.revoke_request, live, observed.now, active, pending)


def rotation_due(token: ScimToken, active: LedgerEntry) -> datetime:
    """When ``active`` is to be replaced: ``rotateBefore`` ahead of its expiry, or sooner when ``lifetime`` has
    become shorter since it was issued. A longer lifetime never extends an issued token.
    """
    lifetime = min(active.expires_at - active.issued_at, token.lifetime)
    return active.issued_at + lifetime - token.rotate_before


def _live_tokens(
    connection: Connection, ledger: TokenLedger, overlap: timedelta | None, now: datetime
) -> dict[str, LedgerEntry]:
    """By id, from API and ledger together. The API wins where both have a token, because the ledger can be
    edited by hand; the ledger then only adds when the token was superseded.
    """
    merged = {entry.id: entry for entry in _registered_tokens(connection, overlap)}
    digests = {entry.digest for entry in merged.values()}
    for entry in ledger.tokens:
        registered = merged.get(entry.id)
        if registered is not None:
            merged[entry.id] = dataclasses.replace(registered, superseded_at=entry.superseded_at)
        elif entry.digest not in digests:
            merged[entry.id] = entry
            digests.add(entry.digest)
    retired = {item.id for item in connection.credentials if item.retires_at and item.retires_at <= now}
    ended = retired | set(connection.revoked) | _ended_before(connection, merged.values())
    return {entry.id: entry for entry in merged.values() if entry.expires_at > now and entry.id not in ended}


def _ended_before(connection: Connection, entries: Iterable[LedgerEntry]) -> set[str]:
    """Those that the API does not have and that are older than what it still has tombstones of."""
    mark = connection.revoked_before
    if mark is None:
        return set()
    registered = {item.id for item in connection.credentials}
    return {entry.id for entry in entries if entry.id not in registered and entry.issued_at <= mark}


def _registered_tokens(connection: Connection, overlap: timedelta | None) -> Iterable[LedgerEntry]:
    """The API's tokens; a retirement that is registered already keeps its time."""
    for item in connection.credentials:
        since = item.retires_at - overlap if item.retires_at is not None and overlap is not None else None
        yield LedgerEntry(item.id, item.digest, item.issued_at, item.expires_at, since)


def _token_with_digest(entries: Iterable[LedgerEntry], digest: str | None) -> LedgerEntry | None:
    """The token with this digest, as not superseded: a superseded token that a restored backup has put back
    into the Secret is published again, and ``overlap`` must not end it.
    """
    if digest is None:
        return None
    match = next((entry for entry in entries if hmac.compare_digest(entry.digest, digest)), None)
    return None if match is None else dataclasses.replace(match, superseded_at=None)


def _tokens_to_revoke(
    request: str | None,
    live: Mapping[str, LedgerEntry],
    now: datetime,
    active: LedgerEntry | None,
    pending: LedgerEntry | None,
) -> frozenset[str]:
    """Ids that the revoke annotation selects. Raises ``InvalidRevokeRequest``."""
    if not request:
        return frozenset()
    if request == ALL_SUPERSEDED:
        return frozenset(live.keys() - {entry.id for entry in (active, pending) if entry is not None})
    if request.startswith("all-before/"):
        limit = _parse_time(request.removeprefix("all-before/"))
        if limit > now:
            raise InvalidRevokeRequest(
                f"{request}: that time has not come yet; write one up to now, {format_time(now)}"
            )
        return frozenset(entry.id for entry in live.values() if entry.issued_at < limit)
    return frozenset({request} & live.keys())


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRevokeRequest(
            f"all-before/{text[:40]}: write an RFC 3339 time, such as 2026-11-23T14:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
