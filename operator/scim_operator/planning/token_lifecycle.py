"""An observation, sorted into the life of a token: which tokens are live, active, pending or to be revoked.

Pure. ``planner`` decides on it.
"""

import dataclasses
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from scim_api.contract.admin import (
    Connection,
    CredentialStatus,
    OAuthClient,
    TenantSettings,
    WorkloadIdentityTrust,
)
from scim_operator.api.durations import Until
from scim_operator.api.scimtoken import DEFAULT_ROTATE_SHARE, ScimToken
from scim_operator.api.status import CredentialKind
from scim_operator.planning.actions import ObservedSecret, ObservedState
from scim_operator.planning.live_tokens import live_tokens
from scim_operator.planning.revocations import (
    ALL_SUPERSEDED,
    DelayedRevocation,
    InvalidRevokeRequest,
    delayed_revocations,
    tokens_to_revoke,
)
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.trusts import narrowed, superseded_period, wanted_entry
from scim_operator.planning.until_in_use import is_followed, next_look


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
    """Ids that the revoke annotation selects, without those whose revocation waits."""
    invalid_revoke: str | None
    """Why the revoke annotation is invalid."""
    revoke_valid_from: datetime | None
    """When an invalid revoke annotation becomes valid by itself: by a clock that is ahead of the database's."""
    settings: TenantSettings | None
    """The settings to register; None: the tenant's stay as they are."""
    namespace_uid: str | None
    client_id: str
    entra_uses_active: bool | None
    delayed_revocations: tuple[DelayedRevocation, ...] = ()
    """What the annotation selects besides, once Entra uses the active credential or its time is over."""

    @classmethod
    def of(cls, token: ScimToken, observed: ObservedState) -> "TokenLifecycle":
        """Sort an observation; a revoke annotation that can't be understood is kept as a problem."""
        connection, secret, now = observed.connection, observed.secret, observed.now
        ledger = secret.ledger if secret is not None else TokenLedger()
        live = live_tokens(connection, ledger, token)
        active, pending = _active_and_pending(token, secret, live.values())
        to_revoke, invalid_revoke, revoke_valid_from = frozenset[str](), None, None
        try:
            to_revoke = tokens_to_revoke(token.revoke_request, live, now, (active, pending))
        except InvalidRevokeRequest as error:
            invalid_revoke, revoke_valid_from = str(error), error.valid_from
        if pending is not None and pending.id in to_revoke:
            pending = None
        registered_settings = connection.settings if observed.settings_refused else None
        ended = narrowed(token.understood_spec.auth.trust, live)
        lifecycle = cls(
            token=token,
            now=now,
            connection=connection,
            secret=secret,
            live=live,
            active=active,
            pending=pending,
            abandoned=_is_abandoned(secret, live, active, pending),
            to_revoke=to_revoke | ended,
            invalid_revoke=invalid_revoke,
            revoke_valid_from=revoke_valid_from,
            settings=registered_settings or token.tenant_settings(),
            namespace_uid=observed.namespace_uid,
            client_id=observed.client_id,
            entra_uses_active=observed.entra_uses_active,
        )
        return lifecycle._delaying(to_revoke - ended)

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
        """When ``overlap`` ends a superseded token before its expiry; None when it does not.

        What ``untilInUse`` has ended is as with no overlap at all, over since it was superseded: whatever is observed
        later, and also when the clock is set back, it stays ended.
        """
        since = entry.superseded_at
        if since is None:
            return None
        registered = self._registered(entry)
        has_ended = (
            registered is not None and registered.retires_at is not None and registered.retires_at <= since
        )
        period = superseded_period(
            self.token, entry.trust, followed=has_ended or self._is_followed(entry, since)
        )
        if period is None or period >= entry.expires_at - since:
            return None
        return since + period

    def ends_at(self, entry: LedgerEntry) -> datetime:
        """When the API stops accepting a token: at its retirement, else at its expiry."""
        return self.retires_at(entry) or entry.expires_at

    def looks_for_use(self) -> list[datetime]:
        """When to look again whether ``untilInUse`` ends a superseded token; empty where nothing waits for a use."""
        waiting = [
            (registered, entry.superseded_at)
            for entry in self.superseded()
            if (registered := self._registered(entry)) is not None
            and entry.superseded_at is not None
            and self.ends_at(entry) > self.now
            and _depends_on_use(self.token, entry.trust)
        ]
        return [next_look(registered, since, self.now) for registered, since in waiting]

    def _registered(self, entry: LedgerEntry) -> CredentialStatus | None:
        return next((item for item in self.connection.credentials if item.id == entry.id), None)

    def _is_followed(self, entry: LedgerEntry, since: datetime) -> bool:
        """Whether clients have gone over from it to the active one, Entra among them."""
        old, active = self._registered(entry), None if self.active is None else self._registered(self.active)
        return (
            self.entra_uses_active is not False
            and old is not None
            and active is not None
            and is_followed(old, since, active, self.now)
        )

    def _delaying(self, selected: frozenset[str]) -> "TokenLifecycle":
        """The same without the revocations that wait for Entra.

        Args:
            selected: ids that the annotation selects.
        """
        if self.entra_uses_active is not False:
            return self
        kept = {item.id for item in (self.active, self.pending) if item is not None}
        candidates = [self.live[name] for name in selected - kept]
        delayed = delayed_revocations(candidates, self.ends_at, self.now)
        to_revoke = self.to_revoke - {item.id for item in delayed}
        return dataclasses.replace(self, to_revoke=to_revoke, delayed_revocations=delayed)


def registered_tokens_to_revoke(token: ScimToken, observed: ObservedState) -> frozenset[str]:
    """Ids that the revoke annotation selects among those that the API accepts, without a look at spec.

    ``all-superseded`` spares the token in the Secret; where none is found there, nobody can say which are superseded,
    and it selects none.

    Raises:
        InvalidRevokeRequest: the annotation is invalid.
    """
    secret = observed.secret if observed.secret is not None and observed.secret.owned else None
    live = live_tokens(observed.connection, TokenLedger(), None)
    active, pending = _published(secret, live.values()), _pending(secret, live.values())
    if active is None and token.revoke_request == ALL_SUPERSEDED:
        return frozenset()
    return tokens_to_revoke(token.revoke_request, live, observed.now, (active, pending))


def rotation_due(token: ScimToken, active: LedgerEntry) -> datetime:
    """When ``active`` is to be replaced: ``rotateBefore`` ahead of its expiry, or sooner when ``lifetime`` has
    become shorter since it was issued. A longer lifetime never extends an issued token. A trust, for which neither has
    a meaning, is renewed when a third of its ten years is left.
    """
    if active.kind == "WorkloadIdentity":
        return active.expires_at - (active.expires_at - active.issued_at) / DEFAULT_ROTATE_SHARE
    lifetime = min(active.expires_at - active.issued_at, token.lifetime)
    return active.issued_at + lifetime - token.rotate_before


def _depends_on_use(token: ScimToken, trust: WorkloadIdentityTrust | None) -> bool:
    return token.overlap is Until.IN_USE and (
        superseded_period(token, trust, followed=True) != superseded_period(token, trust, followed=False)
    )


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
