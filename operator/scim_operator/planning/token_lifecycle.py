"""An observation, sorted into the life of a token: which tokens are live, active, pending or to be revoked.

Pure. ``planner`` decides on it.
"""

import dataclasses
import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_api.contract.admin import Connection, OAuthClient, TenantSettings, WorkloadIdentityTrust
from scim_operator.api.scimtoken import DEFAULT_ROTATE_SHARE, ScimToken, format_time
from scim_operator.api.status import CredentialKind
from scim_operator.planning.actions import ObservedSecret, ObservedState
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.trusts import narrowed, superseded_period, wanted_entry

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
    """What is to be published next: the token under ``next-token``, or the trust that the spec wants. None of another
    kind than the wanted one.
    """
    abandoned: bool
    """Whether something stands in the Secret as pending, or is recorded there as a trust to be published, that is not to
    be published any more.
    """
    to_revoke: frozenset[str]
    """Ids that the revoke annotation selects."""
    invalid_revoke: str | None
    """Why the revoke annotation is invalid."""
    settings: TenantSettings
    """The settings to register."""
    namespace_uid: str | None
    client_id: str

    @classmethod
    def of(cls, token: ScimToken, observed: ObservedState) -> "TokenLifecycle":
        """Sort an observation; a revoke annotation that can't be understood is kept as a problem."""
        connection, secret, now = observed.connection, observed.secret, observed.now
        ledger = secret.ledger if secret is not None else TokenLedger()
        live = _live_tokens(connection, ledger, lambda trust: superseded_period(token, trust), now)
        active, pending = _active_and_pending(token, secret, live.values())
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
            abandoned=_is_abandoned(secret, live, active, pending),
            to_revoke=to_revoke | narrowed(token.understood_spec.auth.trust, live),
            invalid_revoke=invalid_revoke,
            settings=registered_settings or token.tenant_settings(),
            namespace_uid=observed.namespace_uid,
            client_id=observed.client_id,
        )

    @property
    def kind(self) -> CredentialKind:
        """The kind that the spec wants."""
        return self.token.understood_spec.auth.kind

    @property
    def wants_other(self) -> bool:
        """Whether the spec wants another kind than the active credential's, or another trust."""
        wanted = self.token.understood_spec.auth
        return self.active is not None and (self.active.kind, self.active.trust) != (
            wanted.kind,
            wanted.trust,
        )

    def oauth_client(self, kinds: Iterable[CredentialKind]) -> OAuthClient | None:
        """What the token endpoint is to know the connection by; None when it has no need to.

        Args:
            kinds: of the credentials that are to be accepted.
        """
        auth, registered = self.token.understood_spec.auth, self.connection.oauth_client
        if auth.type != "BearerToken":
            return OAuthClient(client_id=self.client_id, access_token_seconds=auth.access_token_seconds)
        if all(kind == "BearerToken" for kind in kinds):
            return None
        if registered is not None and registered.client_id == self.client_id:
            return registered
        return OAuthClient(client_id=self.client_id)

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
        is published, but not what was abandoned before anybody accepted or saw it.
        """
        return [
            entry
            for entry in self.superseded()
            if self.ends_at(entry) > self.now and not self._is_unused(entry)
        ]

    def superseded_to_keep(self) -> list[LedgerEntry]:
        """Superseded tokens that stay in the ledger: neither retired nor to be revoked."""
        return [entry for entry in self.superseded_in_time() if entry.id not in self.to_revoke]

    def _is_unused(self, entry: LedgerEntry) -> bool:
        """Whether it stands in the Secret as pending, is not to be published, and was not registered: nobody has it."""
        if not self.abandoned or not self.connection.exists:
            return False
        next_token = self.secret.next_token if self.secret is not None else None
        is_pending = entry.id in _recorded_trusts(self.secret) or (
            next_token is not None and hmac.compare_digest(entry.digest, next_token)
        )
        return is_pending and entry.id not in {item.id for item in self.connection.credentials}

    def leaves_access_tokens(self, entry: LedgerEntry) -> bool:
        """Whether it has retired and the API has not been told: left out before that, it would be revoked, and the
        access tokens with it that clients were given.
        """
        if entry.kind == "BearerToken" or self.ends_at(entry) > self.now:
            return False
        return any(
            item.id == entry.id and self.now < min(item.expires_at, item.retires_at or item.expires_at)
            for item in self.connection.credentials
        )

    def retires_at(self, entry: LedgerEntry) -> datetime | None:
        """When ``overlap`` ends a superseded token before its expiry; None when it does not."""
        overlap, since = superseded_period(self.token, entry.trust), entry.superseded_at
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
    live = _live_tokens(observed.connection, TokenLedger(), lambda _trust: None, observed.now)
    active, pending = _published(secret, live.values()), _pending(secret, live.values())
    if active is None and token.revoke_request == ALL_SUPERSEDED:
        return frozenset()
    return _tokens_to_revoke(token.revoke_request, live, observed.now, active, pending)


def rotation_due(token: ScimToken, active: LedgerEntry) -> datetime:
    """When ``active`` is to be replaced: ``rotateBefore`` ahead of its expiry, or sooner when ``lifetime`` has
    become shorter since it was issued. A longer lifetime never extends an issued token. A trust, for which neither has
    a meaning, is renewed when a third of its ten years is left.
    """
    if active.kind == "WorkloadIdentity":
        return active.expires_at - (active.expires_at - active.issued_at) / DEFAULT_ROTATE_SHARE
    lifetime = min(active.expires_at - active.issued_at, token.lifetime)
    return active.issued_at + lifetime - token.rotate_before


_Period = Callable[[WorkloadIdentityTrust | None], timedelta | None]
"""How long a superseded credential with this trust, or none, stays accepted; see ``superseded_period``."""


def _published(secret: ObservedSecret | None, live: Iterable[LedgerEntry]) -> LedgerEntry | None:
    return None if secret is None else _token_with_digest(live, secret.token, secret.kind)


def _pending(secret: ObservedSecret | None, live: Iterable[LedgerEntry]) -> LedgerEntry | None:
    return None if secret is None else _token_with_digest(live, secret.next_token, secret.next_kind)


def _active_and_pending(
    token: ScimToken, secret: ObservedSecret | None, live: Iterable[LedgerEntry]
) -> tuple[LedgerEntry | None, LedgerEntry | None]:
    """What the Secret publishes, and what is to be published next.

    A trust has no plaintext that could be missing: where the Secret publishes trusts, the wanted one is active as soon
    as it is recorded. One that is not recorded there, or as superseded, is not taken: it would be published without any
    write that a reconciler which is late, and about to end it, would stumble over.
    """
    live = list(live)
    active, pending = _published(secret, live), _pending(secret, live)
    wanted = token.understood_spec.auth
    if wanted.kind != "WorkloadIdentity":
        return active, pending if pending is not None and pending.kind == wanted.kind else None
    recorded = _recorded_trusts(secret)
    trust = wanted_entry(wanted.trust, (entry for entry in live if entry.id in recorded))
    if secret is not None and secret.kind == "WorkloadIdentity" and trust is not None:
        return trust, None
    if active is None and pending is not None:
        return None, None  # a Secret with what is not to be published is written anew first
    return active, trust


def _recorded_trusts(secret: ObservedSecret | None) -> frozenset[str]:
    """Ids of the trusts that the Secret's ledger has as not superseded."""
    entries = () if secret is None else secret.ledger.tokens
    return frozenset(item.id for item in entries if item.trust is not None and item.superseded_at is None)


def _is_abandoned(
    secret: ObservedSecret | None,
    live: Mapping[str, LedgerEntry],
    active: LedgerEntry | None,
    pending: LedgerEntry | None,
) -> bool:
    next_token = secret.next_token if secret is not None else None
    if next_token is not None and (pending is None or pending.digest != next_token):
        return True
    kept = {entry.id for entry in (active, pending) if entry is not None}
    return bool((_recorded_trusts(secret) & live.keys()) - kept)


def _live_tokens(
    connection: Connection, ledger: TokenLedger, period: _Period, now: datetime
) -> dict[str, LedgerEntry]:
    """By id, from API and ledger together. The API wins where both have a token, because the ledger can be
    edited by hand; the ledger then only adds when the token was superseded.
    """
    merged = {entry.id: entry for entry in _registered_tokens(connection, period)}
    digests = {entry.digest for entry in merged.values()}
    for entry in ledger.tokens:
        registered = merged.get(entry.id)
        if registered is not None:
            since = entry.superseded_at or registered.superseded_at
            same = (
                registered.digest == entry.digest
            )  # then an API that knows no kinds must not change its kind
            kind, trust = (entry.kind, entry.trust) if same else (registered.kind, registered.trust)
            merged[entry.id] = dataclasses.replace(registered, superseded_at=since, kind=kind, trust=trust)
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


def _registered_tokens(connection: Connection, period: _Period) -> Iterable[LedgerEntry]:
    """The API's tokens; a retirement that is registered already keeps its time."""
    for item in connection.credentials:
        overlap = period(item.trust)
        since = item.retires_at - overlap if item.retires_at is not None and overlap is not None else None
        yield LedgerEntry(item.id, item.digest, item.issued_at, item.expires_at, since, item.kind, item.trust)


def _token_with_digest(
    entries: Iterable[LedgerEntry], digest: str | None, kind: CredentialKind
) -> LedgerEntry | None:
    """The token with this digest, as not superseded: a superseded token that a restored backup has put back
    into the Secret is published again, and ``overlap`` must not end it.
    """
    if digest is None:
        return None
    match = next(
        (entry for entry in entries if entry.kind == kind and hmac.compare_digest(entry.digest, digest)), None
    )
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
