"""What a console looks at, written down by a test: each answer, or the refusal that comes instead."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from scim_console.model import (
    Check,
    Condition,
    Credential,
    Directory,
    Event,
    Field,
    Missing,
    Problem,
    Token,
)

T = TypeVar("T")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def credential(id: str = "fb8c8bfa672c14f3", state: str = "Active", **fields: Any) -> Credential:
    """A third of whose life is over."""
    usual: dict[str, Any] = {
        "kind": "BearerToken",
        "issued_at": NOW - timedelta(days=30),
        "superseded_at": None,
        "ends_at": NOW + timedelta(days=60),
        "last_used_at": NOW - timedelta(hours=3),
    }
    return Credential(id=id, state=state, **{**usual, **fields})


def token(name: str = "entra", namespace: str = "team", **fields: Any) -> Token:
    """One with which nothing is wrong."""
    usual: dict[str, Any] = {
        "tenant": name,
        "auth_type": "BearerToken",
        "is_read_only": False,
        "is_suspended": False,
        "secret_name": f"{name}-scim-token",
        "endpoint": "https://scim.example.com/scim/v2",
        "next_rotation": NOW + timedelta(days=30),
        "credentials": (credential(),),
        "conditions": (Condition("Ready", "True", "Ready", "all is as wanted", NOW - timedelta(days=1)),),
        "problems": (),
        "entra": {},
        "auth_name": "Bearer authentication",
        "form": ("Tenant URL", "Secret Token"),
    }
    return Token(namespace=namespace, name=name, **{**usual, **fields})


def problem(message: str = "it is another's", **fields: Any) -> Problem:
    """One with a next command."""
    usual: dict[str, Any] = {
        "severity": "error",
        "subject": "Ready: SecretNotOwned",
        "command": "kubectl get secret x",
    }
    return Problem(message=message, **{**usual, **fields})


class PlayedSource:
    """Answers what its attributes have; an exception there is raised."""

    noun = "ScimToken"
    apply: str | None = "kubectl apply -n team -f -"
    doctor: str | None = "kubectl scim doctor -n team"
    place = "kind · team"

    def __init__(self, *tokens: Token) -> None:
        self.all: Sequence[Token] | Exception = tokens
        self.portal: Sequence[Field] | Exception = (
            Field("Tenant URL", "https://scim.example.com/scim/v2"),
            Field("Secret Token", "sct_secret", is_secret=True),
        )
        self.happened: Sequence[Event] | Exception = ()
        self.checked: Sequence[Check | Exception] = ()
        self.people: dict[str, Directory] | Exception = {}
        """By name of the ScimToken."""
        self.changes: Callable[[threading.Event], Iterator[None]] = lambda stop: iter(())

    def tokens(self) -> Sequence[Token]:
        return _answer(self.all)

    def token(self, namespace: str, name: str) -> Token:
        for one in _answer(self.all):
            if (one.namespace, one.name) == (namespace, name):
                return one
        raise Missing(f'scimtokens "{name}" not found')

    def fields(self, namespace: str, name: str) -> Sequence[Field]:
        self.token(namespace, name)
        return _answer(self.portal)

    def events(self, namespace: str, name: str) -> Sequence[Event]:
        return _answer(self.happened)

    def directory(self, namespace: str, name: str) -> AbstractContextManager[Directory]:
        return contextlib.nullcontext(_answer(self.people)[name])

    def checks(self) -> Iterator[Check]:
        for one in self.checked:
            yield _answer(one)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        return self.changes(stop)


def _answer(value: T | Exception) -> T:
    if isinstance(value, Exception):
        raise value
    return value


CONDITIONS = (
    Condition(
        "Ready", "True", "Ready", "the Secret holds a token that is accepted", NOW - timedelta(days=30)
    ),
    Condition("Registered", "True", "Registered", "the SCIM API accepts the tokens listed here", NOW),
    Condition("Published", "True", "Published", "Secret entra-scim-token holds endpoint and token", NOW),
    Condition("SupersededTokenInUse", "True", "InUse", "Entra still comes with e9bc3f5c781a9144", NOW),
    Condition(
        "EndpointReachable",
        "True",
        "Reachable",
        "https://scim.example.com/scim/v2 answers as a SCIM API",
        NOW,
    ),
    Condition("HandedOver", "False", "Saved", "Entra has saved it; waiting until it comes with it", NOW),
    Condition(
        "Provisioning", "False", "Quarantined", "the job is in quarantine: Entra tries once a day", NOW
    ),
)
ENTRA = {
    "jobID": "customappsso.1b2c3d4e",
    "jobState": "Quarantine",
    "handedOver": {
        "credentialID": "fb8c8bfa672c14f3",
        "servicePrincipalID": "6f2d1c4a-0000-4000-8000-000000000001",
        "endpoint": "https://scim.example.com/scim/v2",
        "at": "2026-11-30T11:00:00Z",
    },
    "lastCycle": {
        "state": "Failed",
        "endedAt": "2026-11-30T10:40:00Z",
        "exported": 12,
        "error": "InvalidCredentials",
    },
    "quarantine": {"reason": "EncounteredQuarantineException", "since": "2026-11-29T10:00:00Z"},
    "recoveries": 2,
    "ofALaterRelease": {"x": 1},
}


def world() -> PlayedSource:
    """Several ScimTokens in several states, for a look."""
    old = credential(
        "e9bc3f5c781a9144",
        "Superseded",
        issued_at=NOW - timedelta(days=85),
        superseded_at=NOW - timedelta(days=30),
        ends_at=NOW + timedelta(days=5),
        last_used_at=NOW - timedelta(minutes=6),
    )
    in_use = problem(
        "Entra still comes with e9bc3f5c781a9144, which ends in 5 days: paste the new token",
        severity="warning",
        subject="SupersededTokenInUse",
        command="kubectl scim credentials entra -n identity",
    )
    entra = token(
        "entra",
        "identity",
        credentials=(credential(last_inspected_at=NOW - timedelta(minutes=2)), old),
        problems=(in_use,),
        conditions=CONDITIONS,
        entra=ENTRA,
    )
    staging = token(
        "staging",
        "identity",
        credentials=(),
        problems=(
            problem(
                "Secret entra-scim-token belongs to ScimToken entra; it was not touched. Choose another spec.secret.name"
            ),
        ),
        next_rotation=None,
    )
    trust = credential(
        "3f0b22d81c5a7e90",
        kind="WorkloadIdentity",
        ends_at=None,
        issued_at=NOW - timedelta(days=120),
        last_used_at=NOW - timedelta(days=1),
    )
    wif = token("partner", "identity", auth_type="WorkloadIdentity", credentials=(trust,))
    hours = credential(
        "77aa01bc9d8e2f11",
        issued_at=NOW - timedelta(hours=7),
        ends_at=NOW + timedelta(hours=17),
        last_used_at=NOW - timedelta(seconds=40),
    )
    reports = token(
        "reports",
        "reporting",
        is_read_only=True,
        credentials=(hours,),
        next_rotation=NOW + timedelta(hours=9),
    )
    source = PlayedSource(entra, staging, wif, reports)
    source.happened = (
        Event(
            NOW - timedelta(minutes=4),
            "Warning",
            "SupersededTokenInUse",
            "Entra still comes with e9bc3f5c781a9144",
            3,
        ),
        Event(
            NOW - timedelta(minutes=50),
            "Normal",
            "TokenIssued",
            "token fb8c8bfa672c14f3 is in Secret entra-scim-token",
        ),
    )
    source.checked = (
        Check(
            "kubectl and server",
            "passed",
            "kubectl v1.37.2, Kubernetes v1.37.2 (1.30 or newer is supported)",
            None,
        ),
        Check(
            "operator",
            "failed",
            "no replica leads",
            "kubectl get pods -A -l app.kubernetes.io/component=operator",
        ),
        Check("Entra's job", "not checkable", "no ScimToken has spec.entra", "see docs/entra-handover.md"),
    )
    return source
