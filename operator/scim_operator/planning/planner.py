"""Decides the next action for one ScimToken. Pure: no clock, no network, no plaintext.

``plan`` compares the spec with the observed state and returns one action. After the action it is called again
with the new state, so a reconcile may stop anywhere and another may continue. The chain of small checks, each
with a reason and a message for conditions and Events, follows cert-manager.
"""

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import Connection, Credential, PutConnection, TenantSettings
from scim_operator.api.durations import LONGEST
from scim_operator.api.scimtoken import FINALIZER, ScimToken, format_time
from scim_operator.planning.actions import (
    Action,
    DeleteConnection,
    Done,
    IssueReason,
    IssueToken,
    ObservedState,
    PromoteToken,
    Refuse,
    RegisterCredentials,
    RewriteSecret,
    SetFinalizer,
)
from scim_operator.planning.connection_ownership import belongs_to, belongs_to_predecessor
from scim_operator.planning.revocations import InvalidRevokeRequest
from scim_operator.planning.secret_layout import public_secret_data
from scim_operator.planning.secret_moves import plan_move
from scim_operator.planning.secret_ownership import plan_ownership
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.token_lifecycle import (
    TokenLifecycle,
    registered_tokens_to_revoke,
    rotation_due,
)
from scim_operator.planning.token_usage import SupersededToken, reevaluation_times, superseded_tokens_in_use

MAX_LIVE_TOKENS: Final = 16
"""Tokens of one ScimToken that the admin API takes (``PutConnection.credentials``)."""
MAX_FIELDS_IN_MESSAGE: Final = 3
"""Fields that one message names; an Event has 1,024 characters."""
PURGE_POLL: Final = timedelta(seconds=1)
"""How soon to requeue while the API deletes a tenant's users."""
REQUEST_INTERVAL: Final = timedelta(seconds=60)
"""The least time between two rotations of a ScimToken that its annotation asks for. Each leaves a token that has to
be remembered to its end; rotations by time and revocations never wait."""


def plan(observed: ObservedState, endpoint: str, request_interval: timedelta = REQUEST_INTERVAL) -> Action:
    """The next action.

    Args:
        observed: the state of API and cluster.
        endpoint: the SCIM base URL for the Secret.
        request_interval: the least time between two rotations that the annotation asks for.
    """
    token = observed.token
    if token is None or token.deleting:
        return _plan_deletion(observed)
    if token.spec is None:
        return _plan_revocations(token, observed, "NotUnderstood", _not_understood(token))
    if belongs_to_predecessor(observed):
        return DeleteConnection()
    wants_finalizer = token.spec.deletion_policy == "Delete"
    if wants_finalizer != (FINALIZER in token.metadata.finalizers):
        return SetFinalizer(wants_finalizer)
    secret = observed.secret
    claim = plan_ownership(token, secret, observed.connection) if secret is not None else None
    if claim is not None:
        return claim
    move = plan_move(secret, observed.orphaned_secrets, observed.connection)
    if move is not None:
        return move
    if observed.connection.purging:
        return Refuse(
            "TenantPurging",
            f"the users of tenant {token.tenant} are being deleted; waiting until that is done",
        )
    if observed.not_supported is not None:
        return _plan_revocations(
            token, observed, observed.not_supported.reason, observed.not_supported.message
        )
    return _plan_tokens(TokenLifecycle.of(token, observed), endpoint, request_interval)


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
    """Register a policy that was changed right before the deletion: the API decides by the registered one
    whether users are deleted with the connection. Skipped when the API has rejected it, because then another
    ScimToken has the tenant and no users are deleted with this one.
    """
    token, connection = observed.token, observed.connection
    if token is None or connection.settings is None or connection.tenant is None or observed.settings_refused:
        return None
    if token.spec is None:  # the policy that the API holds is the last one that was understood
        return None
    if token.is_read_only:  # it is another's
        return None
    policy = token.spec.deletion_policy
    if connection.settings.deletion_policy == policy:
        return None
    settings = connection.settings.model_copy(update={"deletion_policy": policy})
    return RegisterCredentials(PutConnection(tenant=connection.tenant, settings=settings), ())


def _plan_revocations(token: ScimToken, observed: ObservedState, reason: str, message: str) -> Action:
    """What can be done while nothing can be issued: what the annotation revokes ends, the token in the Secret
    included, since nobody knows how long a successor should live, or the API does not take one; all else stays as the
    API holds it.
    """
    connection = observed.connection
    revoked, invalid_revoke = frozenset[str](), None
    try:
        revoked = registered_tokens_to_revoke(token, observed)
    except InvalidRevokeRequest as error:
        invalid_revoke = str(error)
    if revoked and connection.tenant is not None and connection.settings is not None:
        kept = tuple(
            Credential.model_validate(item.model_dump(include=set(Credential.model_fields)))
            for item in connection.credentials
            if item.id not in revoked and (item.retires_at is None or item.retires_at > observed.now)
        )
        put = PutConnection(tenant=connection.tenant, settings=connection.settings, credentials=kept)
        return RegisterCredentials(put, tuple(sorted(revoked)))
    return Refuse(reason, f"{message}. {invalid_revoke}" if invalid_revoke else message, invalid_revoke)


def _not_understood(token: ScimToken) -> str:
    fields = token.not_understood[:MAX_FIELDS_IN_MESSAGE]
    more = len(token.not_understood) - len(fields)
    named = ", ".join(fields) + (f" and {more} more" if more > 0 else "")
    return (
        f"this version of the operator does not understand {named}. Upgrade the operator, or write a value that it "
        "takes. Until then no token is issued or replaced, on time or on request, and no change of spec takes effect; "
        "deletion and the annotation scim-operator.io/revoke work"
    )


def _plan_tokens(lifecycle: TokenLifecycle, endpoint: str, request_interval: timedelta) -> Action:
    request_due = lifecycle.request_due(request_interval)
    issue = _issue_reason(lifecycle, request_due)
    if issue is not None:
        return _issue(lifecycle, *issue)
    if lifecycle.abandoned and lifecycle.active is not None:
        # Before the API hears of it: a reconciler that is late must not publish what has ended meanwhile.
        coming = () if lifecycle.pending is None else (lifecycle.pending,)
        return RewriteSecret(lifecycle.active, _ledger(lifecycle, lifecycle.active, *coming))
    register = _register(lifecycle)
    if register is not None:
        return register
    if lifecycle.pending is not None:
        replaced = (
            [dataclasses.replace(lifecycle.active, superseded_at=lifecycle.now)]
            if lifecycle.active is not None
            else []
        )
        return PromoteToken(lifecycle.pending, _ledger(lifecycle, lifecycle.pending, *replaced))
    assert lifecycle.active is not None  # noqa: S101 (otherwise a token would have been issued)
    ledger = _ledger(lifecycle, lifecycle.active)
    if lifecycle.secret is None or lifecycle.secret.drifted or lifecycle.secret.ledger != ledger or (
        dict(lifecycle.secret.public) != public_secret_data(lifecycle.active, endpoint, lifecycle.client_id)
    ) or lifecycle.secret.next_token is not None:  # fmt: skip
        return RewriteSecret(lifecycle.active, ledger)
    return _done(lifecycle, lifecycle.active, request_due)


def _ledger(lifecycle: TokenLifecycle, *tokens: LedgerEntry) -> TokenLedger:
    """Of these and the superseded ones, with what was asked for and done."""
    return TokenLedger(
        newest_first([*tokens, *lifecycle.superseded_to_keep()]),
        lifecycle.answered_rotate_request,
        lifecycle.ledger.rotated_at,
    )


def newest_first(tokens: Iterable[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """The order of entries in a ledger."""
    return tuple(sorted(tokens, key=lambda item: (item.issued_at, item.id), reverse=True))


def _issue_reason(lifecycle: TokenLifecycle, request_due: datetime | None) -> tuple[IssueReason, str] | None:
    """Why a new token is needed; None when one is pending already or the active one is good."""
    if lifecycle.pending is not None:
        return None
    active, token = lifecycle.active, lifecycle.token
    if active is None:
        return _reason_without_active(lifecycle)
    if lifecycle.wants_other:
        return _reason_of_change(lifecycle, active)
    if active.id in lifecycle.to_revoke:
        return IssueReason.REVOKED, f"token {active.id} is to be revoked, so another takes its place first"
    if token.understood_spec.suspend:
        return None
    if request_due is not None and request_due <= lifecycle.now:
        return IssueReason.REQUESTED, "the annotation scim-operator.io/rotate asked for it"
    if rotation_due(token, active) <= lifecycle.now:
        return IssueReason.DUE, f"token {active.id} expires at {format_time(active.expires_at)}"
    return None


def _reason_of_change(lifecycle: TokenLifecycle, active: LedgerEntry) -> tuple[IssueReason, str]:
    if active.kind == lifecycle.kind:
        return IssueReason.TRUST_CHANGED, f"spec.auth.workloadIdentity is another than that of {active.id}"
    return (
        IssueReason.AUTH_TYPE_CHANGED,
        f"spec.auth.type asks for {lifecycle.kind}; {active.kind} {active.id} is superseded, not ended",
    )


def _reason_without_active(lifecycle: TokenLifecycle) -> tuple[IssueReason, str]:
    if lifecycle.secret is not None and lifecycle.secret.token is not None:
        ended = [entry for entry in lifecycle.ledger.tokens if entry.digest == lifecycle.secret.token]
        if ended:
            return IssueReason.EXPIRED, f"token {ended[0].id} in the Secret had ended"
        return (
            IssueReason.UNKNOWN,
            "the token in the Secret was not one of ours; those issued before stay valid",
        )
    if lifecycle.live:
        return (
            IssueReason.MISSING,
            "the Secret was gone or empty; tokens issued before stay valid to their end",
        )
    return IssueReason.FIRST, "the first token"


def _issue(lifecycle: TokenLifecycle, reason: IssueReason, message: str) -> Action:
    kept = lifecycle.live.keys() - (
        lifecycle.to_revoke - ({lifecycle.active.id} if lifecycle.active is not None else set())
    )
    if len(kept) >= MAX_LIVE_TOKENS:
        return Refuse(
            "TooManyTokens",
            f"{len(kept)} tokens are still in their time, which is the most there may be; end the superseded ones: "
            "kubectl annotate sct/"
            f"{lifecycle.token.metadata.name} scim-operator.io/revoke=all-superseded",
        )
    rotate = (
        lifecycle.ledger.rotate
        if lifecycle.token.understood_spec.suspend
        else lifecycle.token.rotate_request or lifecycle.ledger.rotate
    )
    answers = lifecycle.is_rotation_requested and not lifecycle.token.understood_spec.suspend
    rotated_at = lifecycle.now if answers else lifecycle.ledger.rotated_at
    tokens = [lifecycle.active] if lifecycle.active is not None else []
    auth = lifecycle.token.understood_spec.auth
    if auth.trust is not None:  # one trust follows another at once: there is nothing to prove before
        tokens = [
            dataclasses.replace(item, superseded_at=lifecycle.now) if item.trust is not None else item
            for item in tokens
        ]
    return IssueToken(
        reason,
        message,
        lifecycle.token.lifetime if auth.trust is None else LONGEST,
        TokenLedger(newest_first([*tokens, *lifecycle.superseded_in_time()]), rotate, rotated_at),
        auth.kind,
        auth.trust,
    )


def _register(lifecycle: TokenLifecycle) -> RegisterCredentials | None:
    """The PUT that brings the API to the desired state; None when it is in it."""
    revoked = lifecycle.to_revoke - {
        item.id for item in (lifecycle.active, lifecycle.pending) if item is not None
    }
    desired = [
        item.to_credential(lifecycle.retires_at(item))
        for item in (*filter(None, (lifecycle.active, lifecycle.pending)), *lifecycle.superseded())
        if item.id not in revoked
        and (lifecycle.ends_at(item) > lifecycle.now or lifecycle.leaves_access_tokens(item))
    ]
    desired.sort(key=lambda item: (item.issued_at, item.id))
    connection, token = lifecycle.connection, lifecycle.token
    oauth_client = lifecycle.oauth_client(item.kind for item in desired)
    registered = {item.id: (item.digest, item.retires_at) for item in connection.credentials}
    live = {
        item.id
        for item in connection.credentials
        if item.retires_at is None or item.retires_at > lifecycle.now
    }
    up_to_date = (
        connection.exists
        and connection.tenant == token.tenant
        and _is_set(connection, lifecycle.settings)
        and (connection.access or "ReadWrite") == token.understood_spec.access
        and belongs_to(connection, token)
        and oauth_client in (None, connection.oauth_client)
        and {item.id: (item.digest, item.retires_at) for item in desired}
        == {name: registered[name] for name in live}
    )
    if up_to_date:
        return None
    put = PutConnection(
        tenant=token.tenant,
        settings=lifecycle.settings,
        credentials=tuple(desired),
        owner_uid=token.metadata.uid or None,
        namespace_uid=lifecycle.namespace_uid,
        oauth_client=oauth_client,
        access=token.understood_spec.access,
    )
    return RegisterCredentials(put, tuple(sorted(revoked & registered.keys())))


def _is_set(connection: Connection, settings: TenantSettings | None) -> bool:
    """Whether the tenant has these settings; None: whichever it has."""
    if settings is None:
        return True
    return connection.settings is not None and _comparable(connection.settings) == _comparable(settings)


def _comparable(settings: TenantSettings) -> TenantSettings:
    """With the custom fields in a fixed order, because their order has no meaning."""
    fields = tuple(sorted(settings.custom_fields, key=lambda field: field.name))
    return settings.model_copy(update={"custom_fields": fields})


def _done(lifecycle: TokenLifecycle, active: LedgerEntry, request_due: datetime | None) -> Action:
    due = min(filter(None, (rotation_due(lifecycle.token, active), request_due)))
    superseded = [
        SupersededToken(item.id, item.superseded_at or lifecycle.now, lifecycle.ends_at(item))
        for item in lifecycle.superseded()
    ]
    in_use = superseded_tokens_in_use(superseded, lifecycle.connection.credentials, lifecycle.now)
    moments = [
        due,
        active.expires_at,
        *(item.ends_at for item in superseded),
        *reevaluation_times(superseded, in_use, lifecycle.now),
        *lifecycle.looks_for_use(),
        *(item.until for item in lifecycle.delayed_revocations),
        *filter(None, (lifecycle.revoke_valid_from,)),
    ]
    requeue_at = min(moment for moment in moments if moment > lifecycle.now)
    rotates_at = due if active.trust is None else request_due
    return Done(
        requeue_at,
        active,
        rotates_at,
        lifecycle.invalid_revoke,
        in_use,
        request_due,
        lifecycle.delayed_revocations,
    )
