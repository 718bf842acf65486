"""One observation of a ScimToken, sorted: which tokens are live, and what each of them is. Pure."""

import dataclasses
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from scim_api.contract.admin import Connection, TenantSettings
from scim_operator.api.scimtoken import ScimToken, format_time
from scim_operator.planning.actions import (
    ObservedSecret,
    ObservedState,
)
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger


class InvalidRevokeRequest(Exception):
    """An annotation can't be understood; the message says what to write."""


@dataclasses.dataclass(frozen=True, slots=True)
class TokenLifecycle:
    """One observation, sorted: which tokens are known and live, and what each is."""

    token: ScimToken
    now: datetime
    connection: Connection
    secret: ObservedSecret | None
    live: Mapping[str, LedgerEntry]
    """By id: all in their time that the Secret's record or the API knows and nobody has revoked."""
    active: LedgerEntry | None
    """What the Secret publishes."""
    pending: LedgerEntry | None
    """What stands under ``next-token``."""
    to_revoke: frozenset[str]
    """Ids that the revoke annotation names."""
    invalid_revoke: str | None
    """What is wrong with the revoke annotation."""
    orphaned_secrets: tuple[str, ...]
    settings: TenantSettings
    """Those to register."""

    @classmethod
    def of(cls, token: ScimToken, observed: ObservedState) -> "TokenLifecycle":
        """Sort an observation; a revoke annotation that can't be understood is kept as a problem."""
        connection, secret, now = observed.connection, observed.secret, observed.now
        ledger = secret.ledger if secret is not None else TokenLedger()
        live = live_tokens(connection, ledger, token.overlap, now)
        active = _token_with_digest(live.values(), secret.token if secret else None)
        pending = _token_with_digest(live.values(), secret.next_token if secret else None)
        try:
            to_revoke, invalid_revoke = (
                _tokens_to_revoke(token.revoke_request, live, now, active, pending),
                None,
            )
        except InvalidRevokeRequest as error:
            to_revoke, invalid_revoke = frozenset[str](), str(error)
        if pending is not None and pending.id in to_revoke:
            pending = None
        registered_settings = connection.settings if observed.settings_refused else None
        settings = registered_settings or token.tenant_settings()
        return cls(
            token,
            now,
            connection,
            secret,
            live,
            active,
            pending,
            to_revoke,
            invalid_revoke,
            observed.orphaned_secrets,
            settings,
        )

    @property
    def ledger(self) -> TokenLedger:
        """What the Secret's annotation holds; empty without a Secret."""
        return self.secret.ledger if self.secret is not None else TokenLedger()

    @property
    def answered_rotate_request(self) -> str | None:
        """The rotate request that was answered. A record that was lost counts as having answered it: a good
        token is not replaced because somebody damaged an annotation.
        """
        return self.ledger.rotate if self.ledger.tokens else self.token.rotate_request

    def superseded(self) -> list[LedgerEntry]:
        """Live ones that are neither published nor about to be, and since when."""
        kept = {item.id for item in (self.active, self.pending) if item is not None}
        return [
            item if item.superseded_at is not None else dataclasses.replace(item, superseded_at=self.now)
            for item in self.live.values()
            if item.id not in kept
        ]

    def retires_at(self, item: LedgerEntry) -> datetime | None:
        """When overlap ends a superseded token before its own expiry; None when it does not."""
        overlap, since = self.token.overlap, item.superseded_at
        if overlap is None or since is None or overlap >= item.expires_at - since:
            return None
        return since + overlap


def live_tokens(
    connection: Connection, ledger: TokenLedger, overlap: timedelta | None, now: datetime
) -> dict[str, LedgerEntry]:
    """By id, what API and record know together. Of a token that both know, the API's word counts: the record
    can be edited by hand, and adds only when it was superseded.
    """
    tokens = {item.id: item for item in _registered_tokens(connection, overlap)}
    digests = {item.digest for item in tokens.values()}
    for item in ledger.tokens:
        registered = tokens.get(item.id)
        if registered is not None:
            tokens[item.id] = dataclasses.replace(registered, superseded_at=item.superseded_at)
        elif item.digest not in digests:
            tokens[item.id] = item
            digests.add(item.digest)
    retired = {item.id for item in connection.credentials if item.retires_at and item.retires_at <= now}
    ended = retired | set(connection.revoked)
    return {item.id: item for item in tokens.values() if item.expires_at > now and item.id not in ended}


def _registered_tokens(connection: Connection, overlap: timedelta | None) -> Iterable[LedgerEntry]:
    """What the API knows; a retirement that it was told before stays where it is."""
    for item in connection.credentials:
        since = item.retires_at - overlap if item.retires_at is not None and overlap is not None else None
        yield LedgerEntry(item.id, item.digest, item.issued_at, item.expires_at, since)


def _token_with_digest(live: Iterable[LedgerEntry], digest: str | None) -> LedgerEntry | None:
    """The token that stands in the Secret. One that was superseded and stands there again (a restored
    backup) is no longer superseded, or ``overlap`` would end it while it is published.
    """
    if digest is None:
        return None
    entry = next((item for item in live if hmac.compare_digest(item.digest, digest)), None)
    return None if entry is None else dataclasses.replace(entry, superseded_at=None)


def _tokens_to_revoke(
    request: str | None,
    live: Mapping[str, LedgerEntry],
    now: datetime,
    active: LedgerEntry | None,
    pending: LedgerEntry | None,
) -> frozenset[str]:
    """Whom the revoke annotation names. Raises ``BadRequest``."""
    if not request:
        return frozenset()
    kept = {item.id for item in (active, pending) if item is not None}
    if request == "all-superseded":
        return frozenset(live.keys() - kept)
    if request.startswith("all-before/"):
        limit = _parse_time(request.removeprefix("all-before/"))
        if limit > now:
            raise InvalidRevokeRequest(
                f"{request}: that time has not come yet; write one up to now, {format_time(now)}"
            )
        return frozenset(item.id for item in live.values() if item.issued_at < limit)
    return frozenset({request} & live.keys())


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRevokeRequest(
            f"all-before/{text[:40]}: write an RFC 3339 time, such as 2026-11-23T14:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
