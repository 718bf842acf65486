"""From what a reconcile found to ``status``: conditions and tokens, pure.

Conditions follow the Kubernetes API conventions: ``Registered`` (the API accepts the tokens), ``Published``
(the Secret shows a proven one), and ``Ready``, which sums them up and carries the reason of what fails.
``lastTransitionTime`` moves only when ``status`` flips, so that an unchanged status writes nothing.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from scim_api.admin_models import Connection
from scim_operator.models import Condition, ScimToken, ScimTokenStatus, TokenState, TokenStatus, format_time
from scim_operator.steps import Done, SecretFacts

USE_STEP: Final = timedelta(days=1)
"""``lastUsedAt`` moves in steps of a day: every write of a status is a write to etcd."""
Stage = Literal["Registered", "Published"]
Verdict = Literal["True", "False", "Unknown"]


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """What stopped a reconcile."""

    stage: Stage | None
    """Which condition it makes untrue; None: only Ready."""
    reason: str
    message: str
    verdict: Verdict = "False"


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a reconcile ended with."""

    token: ScimToken
    connection: Connection | None
    secret: SecretFacts | None
    done: Done | None
    trouble: Trouble | None


def describe(found: Found, endpoint: str, now: datetime) -> ScimTokenStatus:
    """The whole status to write.

    Args:
        found: what the reconcile ended with.
        endpoint: the SCIM base URL.
        now: for ``lastTransitionTime``; the database's clock where there was one, UTC.
    """
    token, old = found.token, found.token.status
    tokens = _tokens(found, now)
    active = next((item for item in tokens if item.state is TokenState.ACTIVE), None)
    done = found.done
    return ScimTokenStatus(
        endpoint=endpoint,
        tenant=token.tenant,
        secret_name=token.secret_name if done is not None else old.secret_name or token.secret_name,
        conditions=tuple(_condition(token, now, *verdict) for verdict in _verdicts(found, active, now)),
        observed_generation=token.metadata.generation,
        next_rotation=_next_rotation(found),
        expires_at=active.expires_at if active else None,
        last_used_at=max(
            (item.last_used_at for item in tokens if item.last_used_at), default=old.last_used_at
        ),
        users=found.connection.resources if found.connection is not None else old.users,
        tokens=tokens,
    )


def _next_rotation(found: Found) -> datetime | None:
    if found.token.spec.suspend:
        return None
    return found.done.next_rotation if found.done is not None else found.token.status.next_rotation


def _verdicts(
    found: Found, active: TokenStatus | None, now: datetime
) -> Sequence[tuple[str, Verdict, str, str]]:
    """Type, status, reason and message of each condition."""
    trouble, token = found.trouble, found.token
    published: tuple[str, Verdict, str, str] = (
        "Published", "True", "Published", f"Secret {token.secret_name} holds endpoint and token"
    )  # fmt: skip
    if trouble is None:
        message = _well(found, active)
        return (
            ("Ready", "True", "Ready", message),
            ("Registered", "True", "Registered", "the SCIM API accepts the tokens listed here"),
            published,
        )
    still_good = active is not None and active.expires_at > now
    stages: list[tuple[str, Verdict, str, str]] = []
    for stage in ("Registered", "Published"):
        if trouble.stage == stage:
            stages.append((stage, trouble.verdict, trouble.reason, trouble.message))
        elif stage == "Published" and found.done is not None:
            stages.append(published)
        elif (before := token.status.condition(stage)) is not None:
            stages.append((stage, before.status, before.reason, before.message))
        else:
            stages.append((stage, "Unknown", "NotReachedYet", "an earlier step has to succeed first"))
    message = trouble.message
    if active is not None and still_good:
        message += f". The token in the Secret stays valid until {format_time(active.expires_at)}"
    return (("Ready", trouble.verdict, trouble.reason, message), *stages)


def _well(found: Found, active: TokenStatus | None) -> str:
    token, done = found.token, found.done
    if active is None or done is None:
        return "all is as wanted"
    expires = format_time(active.expires_at)
    if token.spec.suspend:
        message = f"suspended: no rotation; that is safe until the token expires at {expires}"
    elif done.next_rotation is not None:
        message = f"the token is valid until {expires} and is replaced at {format_time(done.next_rotation)}"
    else:
        message = f"the token is valid until {expires}"
    return f"{message}. {done.mistake}" if done.mistake else message


def _condition(
    token: ScimToken, now: datetime, kind: str, status: Verdict, reason: str, message: str
) -> Condition:
    before = token.status.condition(kind)
    since = before.last_transition_time if before is not None and before.status == status else now
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=token.metadata.generation,
    )


def _tokens(found: Found, now: datetime) -> tuple[TokenStatus, ...]:
    """Active first, then newest first. Without an answer of the API: what the status said before."""
    connection, secret = found.connection, found.secret
    before = {item.id: item for item in found.token.status.tokens}
    if connection is None:
        return tuple(item for item in before.values() if item.expires_at > now)
    published = secret.public.get("token-id") if secret is not None and secret.owned else None
    live = [
        TokenStatus(
            id=item.id,
            state=TokenState.ACTIVE if item.id == published else TokenState.SUPERSEDED,
            issued_at=item.issued_at,
            expires_at=min(item.expires_at, item.retires_at or item.expires_at),
            last_used_at=_last_use(item.last_used_at, before.get(item.id)),
        )
        for item in connection.credentials
        if min(item.expires_at, item.retires_at or item.expires_at) > now
    ]
    revoked = [
        before[name].model_copy(update={"state": TokenState.REVOKED})
        for name in connection.revoked
        if name in before and before[name].expires_at > now
    ]
    return tuple(
        sorted(
            (*live, *revoked),
            key=lambda item: (item.state is TokenState.ACTIVE, item.issued_at, item.id),
            reverse=True,
        )
    )


def _last_use(at: datetime | None, before: TokenStatus | None) -> datetime | None:
    old = before.last_used_at if before is not None else None
    if at is None or old is None:
        return at or old
    return at if at - old >= USE_STEP else old


def same(one: ScimTokenStatus, other: ScimTokenStatus) -> bool:
    """Whether writing ``one`` over ``other`` would change anything the API server stores."""
    return one.to_object() == other.to_object()


def local_now() -> datetime:
    """This process's clock, for a status that is written while the database's can't be read. UTC."""
    return datetime.now(UTC)
