"""From the outcome of a reconcile to ``status``: conditions and tokens, pure.

Conditions follow the Kubernetes API conventions: ``Registered`` (the API accepts the tokens), ``Published``
(the Secret shows a proven one), and ``Ready``, which sums them up and carries the reason of what fails.
``SupersededTokenInUse`` and ``EndpointReachable`` warn of what has not failed yet and leave ``Ready`` alone, and so do
``SecretMetadataDenied``, which is there only while it is true, and ``SignInRefused``, which is there with OAuth alone.
``Stalled`` is there only while somebody has to act: kstatus (Flux, kpt, Argo CD's health) reads it.
``lastTransitionTime`` moves only when ``status`` flips, so that an unchanged status writes nothing.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import FORCE_DELETE_ANNOTATION, ScimToken, format_time
from scim_operator.api.status import Condition, RefusedSignIn, ScimTokenStatus, TokenState, TokenStatus
from scim_operator.planning.actions import Done, ObservedSecret
from scim_operator.planning.endpoint_verdict import PENDING, EndpointVerdict
from scim_operator.planning.kind_texts import NOUNS, published, remedy, still_used
from scim_operator.planning.revocations import delay_message
from scim_operator.planning.sign_in_refusals import (
    NOT_REFUSED,
    SIGN_IN_REFUSED,
    diagnosis,
    is_refused,
    reason_of,
    shown_refusal,
)
from scim_operator.planning.token_usage import SupersededTokenInUse

LAST_USE_RESOLUTION: Final = timedelta(days=1)
"""``lastUsedAt`` and ``lastInspectedAt`` move in steps of a day: every write of a status is a write to etcd."""
Stage = Literal["Registered", "Published"]
ConditionStatus = Literal["True", "False", "Unknown"]
ConditionFields = tuple[str, ConditionStatus, str, str]
"""Type, status, reason and message of a condition."""
SUPERSEDED_TOKEN_IN_USE: Final = "SupersededTokenInUse"  # noqa: S105 (a condition's type)
ENDPOINT_REACHABLE: Final = "EndpointReachable"
DELETION_HELD: Final = "DeletionHeld"
SECRET_METADATA_DENIED: Final = "SecretMetadataDenied"  # noqa: S105 (a condition's type)
TRANSIENT_REASONS: Final = frozenset({"TenantPurging", "SecretDeleting", "VerificationFailed", "Unavailable"})
"""Failures that may end without anybody acting."""
MAX_KEYS_IN_MESSAGE: Final = 3
"""Keys of labels and annotations that one message names."""
MAX_LISTED_TOKENS: Final = 32
"""Tokens in a status: all that are accepted, and the newest of the revoked ones."""
MAX_TOKENS_IN_MESSAGE: Final = 3
"""Tokens that one message names; an Event has 1,024 characters."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a reconcile."""

    stage: Stage | None
    """Which condition it makes untrue; None: only Ready."""
    reason: str
    message: str
    status: ConditionStatus = "False"
    invalid_revoke: str | None = None
    """What is wrong with the revoke annotation besides."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReconcileOutcome:
    """The outcome of a reconcile."""

    token: ScimToken
    connection: Connection | None
    secret: ObservedSecret | None
    done: Done | None
    failure: Failure | None
    endpoint: EndpointVerdict | None = None
    """The verdict of the last check of the endpoint; None before the first."""

    @property
    def invalid_revoke(self) -> str | None:
        """What is wrong with the revoke annotation."""
        source = self.done or self.failure
        return source.invalid_revoke if source is not None else None


def build_status(outcome: ReconcileOutcome, endpoint: str, now: datetime) -> ScimTokenStatus:
    """The whole status to write.

    Args:
        outcome: of the reconcile.
        endpoint: the SCIM base URL.
        now: for ``lastTransitionTime``; the database's clock where there was one, UTC.
    """
    token, old = outcome.token, outcome.token.status
    tokens = _token_statuses(outcome, now)
    judged = [
        *_ready_and_stages(outcome, tokens, now),
        _superseded_token_in_use(outcome, tokens),
        _endpoint_reachable(outcome),
        _secret_metadata_denied(token),
        _sign_in_refused(outcome),
    ]
    active = next((item for item in tokens if item.state is TokenState.ACTIVE), None)
    return ScimTokenStatus(
        endpoint=endpoint,
        tenant=token.tenant if token.spec is not None else old.tenant,
        secret_name=_secret_name(outcome),
        conditions=tuple(_condition(token, now, *fields) for fields in judged if fields is not None),
        observed_generation=token.metadata.generation,
        next_rotation=_next_rotation(outcome),
        expires_at=active.expires_at if active and active.kind != "WorkloadIdentity" else None,
        last_used_at=max(
            (item.last_used_at for item in tokens if item.last_used_at), default=old.last_used_at
        ),
        users=outcome.connection.resources if outcome.connection is not None else old.users,
        tokens=tokens,
        last_refused_sign_in=_shown_refusal(outcome),
    )


def _secret_name(outcome: ReconcileOutcome) -> str | None:
    token, before = outcome.token, outcome.token.status.secret_name
    if outcome.done is not None or (before is None and token.spec is not None):
        return token.secret_name
    return before


def _next_rotation(outcome: ReconcileOutcome) -> datetime | None:
    if outcome.token.spec is not None and outcome.token.spec.suspend:
        return None
    return outcome.done.next_rotation if outcome.done is not None else outcome.token.status.next_rotation


def _ready_and_stages(
    outcome: ReconcileOutcome, tokens: Sequence[TokenStatus], now: datetime
) -> Sequence[ConditionFields]:
    """Ready and the stages it sums up."""
    failure, token = outcome.failure, outcome.token
    active = next((item for item in tokens if item.state is TokenState.ACTIVE), None)
    kind = active.kind if active is not None else "BearerToken"
    is_published: ConditionFields = (
        "Published", "True", "Published", published(token, kind)
    )  # fmt: skip
    if token.deleting:
        return (_deletion(outcome),)
    if failure is None:
        message = _ready_message(outcome, active, now)
        return (
            ("Ready", "True", "Ready", message),
            ("Registered", "True", "Registered", "the SCIM API accepts the tokens listed here"),
            is_published,
        )
    stages: list[ConditionFields] = []
    for stage in ("Registered", "Published"):
        if failure.stage == stage:
            stages.append((stage, failure.status, failure.reason, failure.message))
        elif stage == "Published" and outcome.done is not None:
            stages.append(is_published)
        else:
            stages.append(
                _previous(token, stage)
                or (stage, "Unknown", "Pending", "an earlier step has to succeed first")
            )
    message = failure.message
    if active is not None and active.kind == "WorkloadIdentity":
        message += ". The trust that is registered stays valid"
    elif active is not None and active.expires_at > now:
        message += f". The {NOUNS[kind]} in the Secret stays valid until {format_time(active.expires_at)}"
    elif failure.reason == "NotUnderstood":
        message += ". No token in the Secret is valid"
    if failure.status == "False" and failure.reason not in TRANSIENT_REASONS:
        stages.append(("Stalled", "True", failure.reason, failure.message))
    return (("Ready", failure.status, failure.reason, message), *stages)


def _previous(token: ScimToken, kind: str) -> ConditionFields | None:
    before = token.status.condition(kind)
    return None if before is None else (kind, before.status, before.reason, before.message)


def _deletion(outcome: ReconcileOutcome) -> ConditionFields:
    """Ready, of one that is being deleted: what is left to do, or what it waits for."""
    failure, connection = outcome.failure, outcome.connection
    if failure is not None and failure.reason == DELETION_HELD:
        return ("Ready", "False", DELETION_HELD, failure.message)
    if failure is not None:
        meta = outcome.token.metadata
        waits = (
            f"the deletion waits: {failure.message}. Its tokens may still be accepted and its users are still there. "
            f"To let the ScimToken go without waiting: kubectl annotate sct/{meta.name} -n {meta.namespace} "
            f"{FORCE_DELETE_ANNOTATION}=true; tokens and users then end as soon as the SCIM API answers again"
        )
        return ("Ready", "False", "DeletionBlocked", waits)
    message = "the tokens are revoked"
    if connection is not None and connection.purging:
        message += f"; {connection.resources} users are left to be erased"
    return ("Ready", "False", "Deleting", message)


def _superseded_token_in_use(
    outcome: ReconcileOutcome, tokens: Sequence[TokenStatus]
) -> ConditionFields | None:
    """Whether a client that is let in now will be refused soon."""
    if outcome.done is None or outcome.done.active is None:
        return None if outcome.token.deleting else _previous(outcome.token, SUPERSEDED_TOKEN_IN_USE)
    in_use = outcome.done.in_use
    if not in_use:
        return (
            SUPERSEDED_TOKEN_IN_USE,
            "False",
            "NotInUse",
            "no superseded token that somebody uses ends soon",
        )
    shown = {item.id: item.last_used_at for item in tokens}
    sentences = "; ".join(
        _usage_sentence(item, shown.get(item.id) or item.last_used_at)
        for item in in_use[:MAX_TOKENS_IN_MESSAGE]
    )
    if len(in_use) > MAX_TOKENS_IN_MESSAGE:
        sentences += f"; and {len(in_use) - MAX_TOKENS_IN_MESSAGE} more"
    advice = remedy(outcome.token, outcome.done.active.kind)
    return (SUPERSEDED_TOKEN_IN_USE, "True", "InUse", f"{sentences}. Before that, {advice}")


def _usage_sentence(item: SupersededTokenInUse, last_used_at: datetime) -> str:
    return (
        f"{item.client or 'a client without a name'} came with {NOUNS[item.kind]} {item.id} at {format_time(last_used_at)}, although "
        f"it was replaced at {format_time(item.since)}, and is refused with it from {format_time(item.ends_at)} on"
    )


def _endpoint_reachable(outcome: ReconcileOutcome) -> ConditionFields | None:
    if outcome.token.deleting:
        return None
    if outcome.endpoint is None:
        return _previous(outcome.token, ENDPOINT_REACHABLE) or (
            ENDPOINT_REACHABLE,
            PENDING.status,
            PENDING.reason,
            PENDING.message,
        )
    return (ENDPOINT_REACHABLE, outcome.endpoint.status, outcome.endpoint.reason, outcome.endpoint.message)


def _secret_metadata_denied(token: ScimToken) -> ConditionFields | None:
    """Which labels and annotations the Secret does not get; it gets its token all the same."""
    if token.deleting or not token.denied_keys:
        return None
    names = ", ".join(token.denied_keys[:MAX_KEYS_IN_MESSAGE])
    if len(token.denied_keys) > MAX_KEYS_IN_MESSAGE:
        names += f" and {len(token.denied_keys) - MAX_KEYS_IN_MESSAGE} more"
    message = (
        f"not put on Secret {token.secret_name}: {names}. Who runs the operator has denied labels and annotations with "
        "such a domain (SCIM_OPERATOR_DENIED_SECRET_METADATA; in the chart operator.deniedSecretMetadata) and can allow "
        "them; otherwise take them off spec.secret"
    )
    return (SECRET_METADATA_DENIED, "True", "Denied", message)


def _shown_refusal(outcome: ReconcileOutcome) -> RefusedSignIn | None:
    before, connection = outcome.token.status.last_refused_sign_in, outcome.connection
    return before if connection is None else shown_refusal(connection, before)


def _sign_in_refused(outcome: ReconcileOutcome) -> ConditionFields | None:
    """Whether a client has been turned away by the token endpoint and has not come in since."""
    token, connection, shown = outcome.token, outcome.connection, _shown_refusal(outcome)
    if token.deleting:
        return None
    if connection is None:
        return _previous(token, SIGN_IN_REFUSED)
    if all(item.kind == "BearerToken" for item in connection.credentials):
        return None
    if shown is not None and is_refused(connection):
        return (SIGN_IN_REFUSED, "True", reason_of(shown.check), diagnosis(token, shown))
    return (SIGN_IN_REFUSED, "False", NOT_REFUSED, "the token endpoint has refused nobody since the last use")


def _ready_message(outcome: ReconcileOutcome, active: TokenStatus | None, now: datetime) -> str:
    token, done = outcome.token, outcome.done
    if active is None or done is None:
        return "nothing is left to do"
    message = _validity(token, active, done, now)
    used = None if outcome.connection is None else still_used(token, outcome.connection, active.id)
    if used is not None:
        message += f". {used}"
    if done.delayed_rotation is not None:
        message += f". {rotation_delayed(done.delayed_rotation)}"
    if done.delayed_revocations:
        message += f". {delay_message(done.delayed_revocations, active.id)}"
    return f"{message}. {done.invalid_revoke}" if done.invalid_revoke else message


def _validity(token: ScimToken, active: TokenStatus, done: Done, now: datetime) -> str:
    """For how long what the Secret publishes is good, and when it is replaced."""
    expires, noun = format_time(active.expires_at), NOUNS[active.kind]
    if active.kind == "WorkloadIdentity":
        return f"the trust {active.id} is registered; it has no end and needs no rotation"
    if token.understood_spec.suspend:
        message = f"suspended: no rotation; that is safe until the {noun} expires at {expires}"
        if done.next_rotation is not None and done.next_rotation <= now:
            message += f" (it was to be replaced at {format_time(done.next_rotation)})"
        return message
    if done.next_rotation is not None:
        return f"the {noun} is valid until {expires} and is replaced at {format_time(done.next_rotation)}"
    return f"the {noun} is valid until {expires}"


def rotation_delayed(until: datetime) -> str:
    """The sentence about a rotation that was asked for too soon after another."""
    return (
        f"The rotation that the annotation scim-operator.io/rotate asks for is done at {format_time(until)}: the last "
        "one that was asked for is too recent"
    )


def _condition(
    token: ScimToken, now: datetime, kind: str, status: ConditionStatus, reason: str, message: str
) -> Condition:
    before = token.status.condition(kind)
    return Condition.judged(before, now, token.metadata.generation, kind, status, reason, message)


def _token_statuses(outcome: ReconcileOutcome, now: datetime) -> tuple[TokenStatus, ...]:
    """Active first, then newest first. Without an answer of the API: what the status said before."""
    connection, secret = outcome.connection, outcome.secret
    before = {item.id: item for item in outcome.token.status.tokens}
    in_use = {item.id for item in outcome.done.in_use} if outcome.done is not None else set[str]()
    warned = outcome.token.status.condition(SUPERSEDED_TOKEN_IN_USE)
    newly_in_use = in_use if warned is None or warned.status != "True" else set[str]()
    if connection is None:
        return tuple(item for item in before.values() if item.expires_at > now)
    shown_id = secret.published_id if secret is not None and secret.owned else None
    live = [
        TokenStatus(
            id=item.id,
            kind=item.kind,
            state=TokenState.ACTIVE if item.id == shown_id else TokenState.SUPERSEDED,
            issued_at=item.issued_at,
            expires_at=item.ends_at,
            last_used_at=_in_steps(
                item.last_used_at,
                before[item.id].last_used_at if item.id in before and item.id not in newly_in_use else None,
            ),
            last_inspected_at=_in_steps(
                item.last_inspected_at, before[item.id].last_inspected_at if item.id in before else None
            ),
        )
        for item in connection.credentials
        if item.ends_at > now
    ]
    revoked = [
        before[name].model_copy(update={"state": TokenState.REVOKED})
        for name in connection.revoked
        if name in before and before[name].expires_at > now
    ]
    revoked.sort(key=_listed_order, reverse=True)
    listed = (*live, *revoked[: max(0, MAX_LISTED_TOKENS - len(live))])
    return tuple(sorted(listed, key=_listed_order, reverse=True))


def _listed_order(item: TokenStatus) -> tuple[bool, datetime, str]:
    return (item.state is TokenState.ACTIVE, item.issued_at, item.id)


def _in_steps(at: datetime | None, shown: datetime | None) -> datetime | None:
    """The time to show, when one is shown already."""
    if at is None or shown is None:
        return at or shown
    return at if at - shown >= LAST_USE_RESOLUTION else shown


def is_same_status(one: ScimTokenStatus, other: ScimTokenStatus) -> bool:
    """Whether writing ``one`` over ``other`` would change anything the API server stores; ``entra`` is not written with it."""
    return one.to_object() == other.without_entra().to_object()


def local_now() -> datetime:
    """This process's clock, for a status that is written while the database's can't be read. UTC."""
    return datetime.now(UTC)
