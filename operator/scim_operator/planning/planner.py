"""The core decision: what to do next about one ScimToken. Pure: no clock, no network, no plaintext.

``plan`` looks at what is wanted and what was observed and names one step; after the step it is asked again
with what is so then. A chain of small questions, each with a reason and a message that reach people as
condition and Event (the idea is cert-manager's). So a reconcile may stop anywhere and another may go on.
"""

import dataclasses
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_api.contract.admin import Connection, Credential, PutConnection, TenantSettings
from scim_operator.api.scimtoken import FINALIZER, ScimToken, format_time
from scim_operator.planning.actions import (
    Action,
    DeleteConnection,
    DeleteOrphanedSecret,
    Done,
    IssueReason,
    IssueToken,
    ObservedSecret,
    ObservedState,
    PromoteToken,
    Refuse,
    RegisterCredentials,
    RewriteSecret,
    SetFinalizer,
)
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.token_usage import SupersededToken, reevaluation_times, superseded_tokens_in_use

MAX_LIVE_TOKENS: Final = 16
"""Tokens of one ScimToken that the admin API takes (``PutConnection.credentials``)."""
PURGE_POLL: Final = timedelta(seconds=1)
"""How soon to look again while the API deletes a tenant's people."""


class InvalidRevokeRequest(Exception):
    """An annotation can't be understood; the message says what to write."""


def plan(observed: ObservedState, endpoint: str) -> Action:
    """The next step.

    Args:
        observed: what is so.
        endpoint: the SCIM base URL that belongs into the Secret.
    """
    token = observed.token
    if token is None or token.deleting:
        return _plan_deletion(observed)
    wants_finalizer = token.spec.deletion_policy == "Delete"
    if wants_finalizer != (FINALIZER in token.metadata.finalizers):
        return SetFinalizer(wants_finalizer)
    secret = observed.secret
    if secret is not None and not secret.owned:
        return Refuse(
            "SecretNotOwned",
            f"Secret {token.secret_name} exists and belongs to somebody else; it was not touched. Delete it, or "
            "choose another spec.secret.name",
        )
    if secret is not None and secret.deleting:
        return Refuse(
            "SecretDeleting", f"Secret {token.secret_name} is being deleted; waiting until it is gone"
        )
    if observed.connection.purging:
        return Refuse(
            "TenantPurging", f"the people of tenant {token.tenant} are being deleted; waiting for the end"
        )
    return _plan_tokens(_TokenLifecycle.of(token, observed), endpoint)


def _plan_deletion(observed: ObservedState) -> Action:
    token, connection = observed.token, observed.connection
    if connection.exists:
        return _update_deletion_policy(observed) or DeleteConnection()
    if token is None or FINALIZER not in token.metadata.finalizers:
        return Done(None)
    if connection.purging and not token.deletion_is_forced:
        return Done(observed.now + PURGE_POLL)
    return SetFinalizer(present=False)


def _update_deletion_policy(observed: ObservedState) -> RegisterCredentials | None:
    """The API decides by the policy it holds whether people are erased with the connection, so a policy that
    was changed right before the deletion has to reach it first. Refused: another ScimToken has the tenant, and
    nobody is erased with this one.
    """
    token, connection = observed.token, observed.connection
    if token is None or connection.settings is None or connection.tenant is None or observed.settings_refused:
        return None
    policy = token.spec.deletion_policy
    if connection.settings.deletion_policy == policy:
        return None
    settings = connection.settings.model_copy(update={"deletion_policy": policy})
    return RegisterCredentials(PutConnection(tenant=connection.tenant, settings=settings), ())


@dataclasses.dataclass(frozen=True, slots=True)
class _TokenLifecycle:
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
    def of(cls, token: ScimToken, observed: ObservedState) -> "_TokenLifecycle":
        connection, secret, now = observed.connection, observed.secret, observed.now
        record = secret.ledger if secret is not None else TokenLedger()
        known = _live_tokens(connection, record, token.overlap, now)
        current = _token_with_digest(known.values(), secret.token if secret else None)
        coming = _token_with_digest(known.values(), secret.next_token if secret else None)
        try:
            condemned, mistake = _tokens_to_revoke(token.revoke_request, known, now, current, coming), None
        except InvalidRevokeRequest as error:
            condemned, mistake = frozenset[str](), str(error)
        if coming is not None and coming.id in condemned:
            coming = None
        held = connection.settings if observed.settings_refused else None
        settings = held or token.tenant_settings()
        return cls(
            token,
            now,
            connection,
            secret,
            known,
            current,
            coming,
            condemned,
            mistake,
            observed.orphaned_secrets,
            settings,
        )

    @property
    def ledger(self) -> TokenLedger:
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


def _live_tokens(
    connection: Connection, record: TokenLedger, overlap: timedelta | None, now: datetime
) -> dict[str, LedgerEntry]:
    """By id, what API and record know together. Of a token that both know, the API's word counts: the record
    can be edited by hand, and adds only when it was superseded.
    """
    merged = {item.id: item for item in _registered_tokens(connection, overlap)}
    digests = {item.digest for item in merged.values()}
    for item in record.tokens:
        told = merged.get(item.id)
        if told is not None:
            merged[item.id] = dataclasses.replace(told, superseded_at=item.superseded_at)
        elif item.digest not in digests:
            merged[item.id] = item
            digests.add(item.digest)
    retired = {item.id for item in connection.credentials if item.retires_at and item.retires_at <= now}
    ended = retired | set(connection.revoked)
    return {item.id: item for item in merged.values() if item.expires_at > now and item.id not in ended}


def _registered_tokens(connection: Connection, overlap: timedelta | None) -> Iterable[LedgerEntry]:
    """What the API knows; a retirement that it was told before stays where it is."""
    for item in connection.credentials:
        since = item.retires_at - overlap if item.retires_at is not None and overlap is not None else None
        yield LedgerEntry(item.id, item.digest, item.issued_at, item.expires_at, since)


def _token_with_digest(known: Iterable[LedgerEntry], digest: str | None) -> LedgerEntry | None:
    """The token that stands in the Secret. One that was superseded and stands there again (a restored
    backup) is no longer superseded, or ``overlap`` would end it while it is published.
    """
    if digest is None:
        return None
    found = next((item for item in known if hmac.compare_digest(item.digest, digest)), None)
    return None if found is None else dataclasses.replace(found, superseded_at=None)


def _tokens_to_revoke(
    request: str | None,
    known: Mapping[str, LedgerEntry],
    now: datetime,
    current: LedgerEntry | None,
    coming: LedgerEntry | None,
) -> frozenset[str]:
    """Whom the revoke annotation names. Raises ``BadRequest``."""
    if not request:
        return frozenset()
    kept = {item.id for item in (current, coming) if item is not None}
    if request == "all-superseded":
        return frozenset(known.keys() - kept)
    if request.startswith("all-before/"):
        limit = _parse_time(request.removeprefix("all-before/"))
        if limit > now:
            raise InvalidRevokeRequest(
                f"{request}: that time has not come yet; write one up to now, {format_time(now)}"
            )
        return frozenset(item.id for item in known.values() if item.issued_at < limit)
    return frozenset({request} & known.keys())


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRevokeRequest(
            f"all-before/{text[:40]}: write an RFC 3339 time, such as 2026-11-23T14:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def rotation_due(token: ScimToken, current: LedgerEntry) -> datetime:
    """When ``current`` is to be replaced: ``rotateBefore`` before its end, or sooner when ``lifetime`` has
    become shorter since it was issued. A longer lifetime never extends an issued token.
    """
    lifetime = min(current.expires_at - current.issued_at, token.lifetime)
    return current.issued_at + lifetime - token.rotate_before


def _plan_tokens(life: _TokenLifecycle, endpoint: str) -> Action:
    issue = _issue_reason(life)
    if issue is not None:
        return _issue(life, *issue)
    register = _register(life)
    if register is not None:
        return register
    if life.pending is not None:
        since = [dataclasses.replace(life.active, superseded_at=life.now)] if life.active is not None else []
        record = TokenLedger(
            _newest_first([life.pending, *since, *_superseded_to_keep(life)]), life.answered_rotate_request
        )
        return PromoteToken(life.pending, record)
    assert life.active is not None  # noqa: S101 (otherwise a token would have been issued)
    record = TokenLedger(
        _newest_first([life.active, *_superseded_to_keep(life)]), life.answered_rotate_request
    )
    if life.secret is None or life.secret.drifted or life.secret.ledger != record or (
        dict(life.secret.public) != public_secret_data(life.active, endpoint)
    ) or life.secret.next_token is not None:  # fmt: skip
        return RewriteSecret(life.active, record)
    if life.orphaned_secrets:
        return DeleteOrphanedSecret(life.orphaned_secrets[0])
    return _done(life, life.active)


def public_secret_data(token: LedgerEntry, endpoint: str) -> dict[str, str]:
    """What stands in a Secret beside the token."""
    return {"endpoint": endpoint, "token-id": token.id, "expires-at": format_time(token.expires_at)}


def _superseded_to_keep(life: _TokenLifecycle) -> list[LedgerEntry]:
    """Superseded tokens that the record goes on to hold: neither revoked nor retired."""
    return [
        item
        for item in life.superseded()
        if item.id not in life.to_revoke and (life.retires_at(item) or item.expires_at) > life.now
    ]


def _newest_first(tokens: Iterable[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    return tuple(sorted(tokens, key=lambda item: (item.issued_at, item.id), reverse=True))


def _issue_reason(life: _TokenLifecycle) -> tuple[IssueReason, str] | None:
    """Whether a new token is needed, and why; None when one is coming already or the present one is good."""
    if life.pending is not None:
        return None
    current, token = life.active, life.token
    if current is None:
        return _reason_without_active(life)
    if current.id in life.to_revoke:
        return IssueReason.REVOKED, f"token {current.id} is to be revoked, so another takes its place first"
    if token.spec.suspend:
        return None
    if token.rotate_request is not None and token.rotate_request != life.answered_rotate_request:
        return IssueReason.REQUESTED, "the annotation scim-operator.io/rotate asked for it"
    due = rotation_due(token, current)
    if due <= life.now:
        return IssueReason.DUE, f"token {current.id} expires at {format_time(current.expires_at)}"
    return None


def _reason_without_active(life: _TokenLifecycle) -> tuple[IssueReason, str]:
    if life.secret is not None and life.secret.token is not None:
        held = [item for item in life.ledger.tokens if item.digest == life.secret.token]
        if held:
            return IssueReason.EXPIRED, f"token {held[0].id} in the Secret had ended"
        return (
            IssueReason.UNKNOWN,
            "the token in the Secret was not one of ours; those issued before stay valid",
        )
    if life.live:
        return (
            IssueReason.MISSING,
            "the Secret was gone or empty; tokens issued before stay valid to their end",
        )
    return IssueReason.FIRST, "the first token"


def _issue(life: _TokenLifecycle, because: IssueReason, message: str) -> Action:
    kept = life.live.keys() - (life.to_revoke - ({life.active.id} if life.active is not None else set()))
    if len(kept) >= MAX_LIVE_TOKENS:
        return Refuse(
            "TooManyTokens",
            f"{len(kept)} tokens are still in their time, which is the most there may be; end the superseded ones: "
            "kubectl annotate sct/" + f"{life.token.metadata.name} scim-operator.io/revoke=all-superseded",
        )
    rotate = (
        life.ledger.rotate if life.token.spec.suspend else life.token.rotate_request or life.ledger.rotate
    )
    tokens = [life.active] if life.active is not None else []
    return IssueToken(
        because,
        message,
        life.token.lifetime,
        TokenLedger(_newest_first([*tokens, *_superseded_in_time(life)]), rotate),
    )


def _superseded_in_time(life: _TokenLifecycle) -> list[LedgerEntry]:
    """All superseded tokens, the condemned included: they die only when their successor is there."""
    return [item for item in life.superseded() if (life.retires_at(item) or item.expires_at) > life.now]


def _register(life: _TokenLifecycle) -> RegisterCredentials | None:
    """The PUT that makes the API's state so, or None when it is so."""
    doomed = life.to_revoke - {item.id for item in (life.active, life.pending) if item is not None}
    wanted = [
        Credential(
            id=item.id,
            digest=item.digest,
            issued_at=item.issued_at,
            expires_at=item.expires_at,
            retires_at=life.retires_at(item),
        )
        for item in (*filter(None, (life.active, life.pending)), *life.superseded())
        if item.id not in doomed and (life.retires_at(item) or item.expires_at) > life.now
    ]
    wanted.sort(key=lambda item: (item.issued_at, item.id))
    connection, token = life.connection, life.token
    held = {item.id: (item.digest, item.retires_at) for item in connection.credentials}
    live = {
        item.id for item in connection.credentials if item.retires_at is None or item.retires_at > life.now
    }
    is_so = (
        connection.exists
        and connection.tenant == token.tenant
        and connection.settings is not None
        and _comparable(connection.settings) == _comparable(life.settings)
        and {item.id: (item.digest, item.retires_at) for item in wanted}
        == {name: held[name] for name in live}
    )
    if is_so:
        return None
    put = PutConnection(tenant=token.tenant, settings=life.settings, credentials=tuple(wanted))
    return RegisterCredentials(put, tuple(sorted(doomed & held.keys())))


def _comparable(settings: TenantSettings) -> TenantSettings:
    """Without the order of custom fields, which counts for nothing."""
    fields = tuple(sorted(settings.custom_fields, key=lambda field: field.name))
    return settings.model_copy(update={"custom_fields": fields})


def _done(life: _TokenLifecycle, current: LedgerEntry) -> Action:
    due = rotation_due(life.token, current)
    superseded = [
        SupersededToken(item.id, item.superseded_at or life.now, life.retires_at(item) or item.expires_at)
        for item in life.superseded()
    ]
    in_use = superseded_tokens_in_use(superseded, life.connection.credentials, life.now)
    moments = [
        due,
        current.expires_at,
        *(item.ends_at for item in superseded),
        *reevaluation_times(superseded, in_use, life.now),
    ]
    next_look = min(moment for moment in moments if moment > life.now)
    return Done(next_look, current, due, life.invalid_revoke, in_use)
