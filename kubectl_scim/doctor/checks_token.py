"""What ``doctor`` makes of a ScimToken, its Secret and what the operator says of Entra. Pure.

The Secret's plaintext is compared by its SHA-256 alone, and neither of the two is ever part of a message.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from kubectl_scim.doctor.facts import Unread, failed, not_checkable, passed, unread
from kubectl_scim.scimtoken import GROUP, Condition, ScimToken
from kubectl_scim.text import seen, stamp
from scim_console.model import IN_PROGRESS, ON_PURPOSE, Check

LEDGER: Final = f"{GROUP}/tokens"
"""The Secret's annotation with ids, digests and times of its credentials."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Keys:
    """Of a Secret's data, by the way of signing in."""

    plaintext: str | None
    identity: str | None
    others: tuple[str, ...]


KEYS: Final[Mapping[str, _Keys]] = {
    "BearerToken": _Keys("token", "token-id", ("endpoint", "expires-at")),
    "OAuthClientCredentials": _Keys(
        "client-secret", "client-secret-id", ("endpoint", "token-endpoint", "client-id", "expires-at")
    ),
    "WorkloadIdentity": _Keys(None, None, ("endpoint", "token-endpoint", "client-id")),
}
SIGN_IN: Final = frozenset({"EntraSignInRefused", "ConsentMissing", "IdentityNotReadable"})
"""Reasons that say that the operator has no access to Graph."""
RIGHTS: Final = frozenset({"PermissionMissing"})
"""Reasons that say that it lacks a right there."""
UNASKED: Final = frozenset(
    {"Pending", "NotChecked", "Off", "NothingToHandOver", "NotPublished", "GraphUnreachable"}
)
"""Reasons that do not say whether Graph was asked."""


def title(token: ScimToken, what: str) -> str:
    """The name of a check of a ScimToken."""
    return f"{token.namespace}/{token.name}: {what}"


def _unseen(token: ScimToken) -> str:
    return f"check the line 'operator leads' above; then whether the chart's watchNamespaces has {token.namespace}"


def _explained(token: ScimToken, condition: Condition) -> str:
    describe = f"kubectl describe sct {token.name} -n {token.namespace}"
    return f"{describe}; the documentation explains {condition.reason}"


def state(token: ScimToken) -> Iterator[Check]:
    """The operator has seen it, and all is done that it asks for."""
    name = title(token, "operator")
    if token.observed_generation < 0:
        yield failed(
            name,
            "no operator has seen it",
            _unseen(token),
        )
        return
    if token.observed_generation < token.generation:
        yield failed(name, "the operator has not processed the latest spec yet", _unseen(token))
    else:
        yield passed(name, "has seen the spec as it is")
    name, ready = title(token, "Ready"), token.condition("Ready")
    describe = f"kubectl scim status {token.name} -n {token.namespace}"
    if ready is None:
        yield not_checkable(name, "there is no condition yet", describe)
    elif ready.status == "True":
        yield passed(name, ready.message)
    else:
        yield failed(name, f"{ready.reason}: {ready.message}", describe)
    for kind in ("SignInRefused", "SupersededTokenInUse"):
        found = token.condition(kind)
        if found is not None and found.status == "True":
            yield failed(title(token, kind), f"{found.reason}: {found.message}", describe)


def secret(token: ScimToken, body: Mapping[str, Any] | Unread, now: datetime) -> Iterator[Check]:
    """The Secret is there, has its keys, and holds the credential that the operator and the SCIM API know.

    Args:
        token: whose.
        body: of the Secret.
        now: the API server's time.
    """
    name = title(token, f"Secret {token.secret_name}")
    paste = f"paste it into Entra: kubectl scim credentials {token.name} -n {token.namespace}"
    repair = f"kubectl scim rotate {token.name} -n {token.namespace} issues another credential; {paste}"
    if isinstance(body, Unread):
        if body.why == "missing":
            yield failed(name, "it does not exist", f"kubectl scim status {token.name} -n {token.namespace}")
        else:
            yield unread(name, body)
        return
    keys, data = KEYS.get(token.auth_type, KEYS["BearerToken"]), body.get("data") or {}
    wanted = [key for key in (keys.plaintext, keys.identity, *keys.others) if key is not None]
    missing = [key for key in wanted if not data.get(key)]
    if missing:
        yield failed(
            name,
            f"it lacks {', '.join(missing)}",
            f"kubectl delete secret {token.secret_name} -n {token.namespace}; the operator then issues a new credential; {paste}",
        )
        return
    yield passed(name, f"it is there, with {', '.join(wanted)}")
    if keys.plaintext is not None and keys.identity is not None:
        yield _credential(token, body, keys.plaintext, keys.identity, now, repair)


def _credential(
    token: ScimToken, body: Mapping[str, Any], plaintext: str, identity: str, now: datetime, repair: str
) -> Check:
    name, data = title(token, "credential in the Secret"), body["data"]
    try:
        id_ = base64.b64decode(data[identity], validate=True).decode()
        digest = hashlib.sha256(base64.b64decode(data[plaintext], validate=True)).hexdigest()
    except (binascii.Error, UnicodeDecodeError, TypeError):
        return failed(name, "the Secret can't be read: it is no base64 of text", repair)
    active = token.active
    if active is None:
        return not_checkable(name, "the status names no active credential")
    if active.id != id_:
        return failed(
            name,
            f"the Secret says {id_}, the status {active.id}",
            "wait a minute; if it stays: check the line 'operator leads' above, and who else writes the Secret",
        )
    annotation = (body["metadata"].get("annotations") or {}).get(LEDGER)
    recorded = _digests(annotation).get(id_)
    if recorded is None:
        return not_checkable(name, f"{id_} is active; the Secret's annotation {LEDGER} does not record it")
    if not hmac.compare_digest(recorded, digest):
        return failed(name, f"what the Secret holds is not {id_}: somebody has edited it", repair)
    if active.expires_at is not None and active.expires_at <= now:
        return failed(name, f"{id_} has ended at {stamp(active.expires_at)}", repair)
    ends = (
        ""
        if active.expires_at is None
        else f", ends at {stamp(active.expires_at)} ({seen(active.expires_at, now)})"
    )
    return passed(name, f"{id_}, as the operator recorded it{ends}")


def _digests(annotation: object) -> Mapping[str, str]:
    try:
        entries = json.loads(annotation).get("tokens") if isinstance(annotation, str) else None
        return {str(one["id"]): str(one["digest"]) for one in entries or ()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def reachable_from_inside(token: ScimToken) -> Check:
    """What the operator found, which asks the endpoint every five minutes."""
    name, found = title(token, "endpoint from inside"), token.condition("EndpointReachable")
    if found is None:
        return not_checkable(name, "the operator has said nothing about it yet")
    if found.status == "True":
        return passed(name, found.message)
    if found.status == "False":
        return failed(name, f"{found.reason}: {found.message}", _explained(token, found))
    return not_checkable(name, f"{found.reason}: {found.message}")


def entra(token: ScimToken) -> Iterator[Check]:
    """What the operator says of Microsoft Graph, of the hand-over and of the provisioning job; nothing without ``spec.entra``."""
    if not token.spec.get("entra"):
        return
    conditions = [token.condition(kind) for kind in ("HandedOver", "Provisioning")]
    found = [one for one in conditions if one is not None]
    yield _graph(token, "Graph sign-in", found, SIGN_IN, SIGN_IN)
    yield _graph(token, "Graph rights", found, RIGHTS, SIGN_IN | RIGHTS)
    for what, kind, one in zip(
        ("Entra has the credential", "Entra's provisioning job"),
        ("HandedOver", "Provisioning"),
        conditions,
        strict=True,
    ):
        name = title(token, what)
        if one is None:
            yield not_checkable(name, f"there is no condition {kind} yet")
        elif one.status == "True" or one.reason in ON_PURPOSE:
            yield passed(name, one.message)
        elif one.status == "False" and one.reason not in IN_PROGRESS:
            yield failed(name, f"{one.reason}: {one.message}", _explained(token, one))
        else:
            yield not_checkable(name, f"{one.reason}: {one.message}", _explained(token, one))


def _graph(
    token: ScimToken, what: str, found: list[Condition], wrong: frozenset[str], silent: frozenset[str]
) -> Check:
    """Whether Graph lets the operator in.

    Args:
        token: whose.
        what: is checked.
        found: the conditions about Entra.
        wrong: reasons that say that it is not so.
        silent: reasons that do not say that it is so.
    """
    name = title(token, what)
    for one in found:
        if one.reason in wrong:
            return failed(name, f"{one.reason}: {one.message}", _explained(token, one))
    if any(one.reason not in UNASKED | silent for one in found):
        return passed(name, "Microsoft Graph answers the operator")
    return not_checkable(name, "the operator has had no answer that tells")
