"""What doctor makes of a ScimToken, its Secret and Entra."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from kubectl_scim.doctor import checks_token
from kubectl_scim.scimtoken import ScimToken
from scim_operator.api.status import CredentialKind
from scim_operator.planning import secret_layout
from scim_operator.planning.entra.ports import Obstacle
from support.installation_objects import DENIED, MISSING
from support.scimtoken_objects import NOW, condition, credential, scimtoken

KINDS: dict[str, CredentialKind] = {
    "BearerToken": "BearerToken",
    "OAuthClientCredentials": "ClientSecret",
    "WorkloadIdentity": "WorkloadIdentity",
}
PLAIN = "sct_of-a-person-who-must-not-see-it"


def _secret(data: Mapping[str, str] | None = None, ledger: Any = None, plain: str = PLAIN) -> dict[str, Any]:
    entry = {"id": "t1", "digest": hashlib.sha256(PLAIN.encode()).hexdigest()}
    text = json.dumps({"tokens": [entry]} if ledger is None else ledger)
    usual = {"endpoint": "https://x", "token": plain, "token-id": "t1", "expires-at": "2027-02-18T12:00:00Z"}
    return {
        "metadata": {"annotations": {checks_token.LEDGER: text}},
        "data": {
            key: base64.b64encode(value.encode()).decode()
            for key, value in (usual if data is None else data).items()
        },
    }


def _of_secret(body: Any, token: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    return [
        (one.outcome, one.message) for one in checks_token.secret(ScimToken(token or scimtoken()), body, NOW)
    ]


def test_a_secret_that_holds_what_the_operator_recorded_passes_without_showing_it() -> None:
    found = _of_secret(_secret())
    assert [outcome for outcome, _ in found] == ["passed", "passed"]
    assert "t1, as the operator recorded it, ends at 2027-02-18T12:00:00Z (in 80 d)" in found[1][1]
    assert PLAIN not in str(found)
    assert hashlib.sha256(PLAIN.encode()).hexdigest() not in str(found)


@pytest.mark.parametrize(
    ("body", "token", "outcome", "said"),
    [
        (_secret(plain="edited"), None, "failed", "somebody has edited it"),
        (
            _secret(),
            scimtoken(credentials=(credential("t2"),)),
            "failed",
            "the Secret says t1, the status t2",
        ),
        (
            _secret(),
            scimtoken(credentials=(credential(expiresAt="2026-11-30T11:00:00Z"),)),
            "failed",
            "has ended",
        ),
        (_secret(), scimtoken(credentials=()), "not checkable", "no active credential"),
        (_secret(ledger={"tokens": []}), None, "not checkable", "does not record it"),
        (_secret(ledger=["damaged"]), None, "not checkable", "does not record it"),
        ({**_secret(), "data": {**_secret()["data"], "token": "%"}}, None, "failed", "no base64"),
    ],
)
def test_a_secret_that_holds_something_else_is_told(body: Any, token: Any, outcome: str, said: str) -> None:
    *_, (found, message) = _of_secret(body, token)
    assert found == outcome
    assert said in message


@pytest.mark.parametrize(
    ("body", "outcome", "said"),
    [
        (MISSING, "failed", "does not exist"),
        (DENIED, "not checkable", "is forbidden"),
        (_secret({"endpoint": "https://x", "token-id": "t1"}), "failed", "it lacks token, expires-at"),
        ({"metadata": {}}, "failed", "it lacks token"),
    ],
)
def test_a_secret_that_is_not_there_or_not_whole_is_told(body: Any, outcome: str, said: str) -> None:
    [(found, message)] = _of_secret(body)
    assert found == outcome
    assert said in message


def test_what_to_do_about_a_secret_says_what_has_to_be_pasted_then() -> None:
    paste = "paste it into Entra: kubectl scim credentials entra -n team"
    bodies: list[dict[str, Any]] = [{"metadata": {}}, _secret(plain="edited")]
    for body in bodies:
        *_, check = checks_token.secret(ScimToken(scimtoken()), body, NOW)
        assert check.remedy is not None
        assert check.remedy.endswith(f"credential; {paste}")


def test_no_remedy_names_a_file_that_users_do_not_have() -> None:
    token = ScimToken(
        scimtoken(
            *(condition(kind, "False", "NotInUse") for kind in ("EndpointReachable", "HandedOver")),
            spec={"entra": {"tenantID": "x"}},
        )
    )
    checks = [checks_token.reachable_from_inside(token), *checks_token.entra(token)]
    remedies = [one.remedy for one in checks if one.outcome == "failed"]
    assert remedies == ["kubectl describe sct entra -n team; the documentation explains NotInUse"] * 2


@pytest.mark.parametrize("auth_type", checks_token.KEYS)
def test_the_keys_of_a_secret_are_those_that_the_operator_writes(auth_type: str) -> None:
    keys, kind = checks_token.KEYS[auth_type], KINDS[auth_type]
    written = secret_layout.KEYS.get(kind)
    assert (keys.plaintext, keys.identity) == (
        (None, None) if written is None else (written.plaintext, written.identity)
    )
    assert set(keys.others) <= set(secret_layout.SHARED)


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        (scimtoken(), ["passed", "passed"]),
        (scimtoken(generation=3), ["failed", "passed"]),
        (scimtoken(condition("Ready", "False", "SecretNotOwned")), ["passed", "failed"]),
        (scimtoken(condition("SignInRefused")), ["passed", "passed", "failed"]),
        ({"metadata": {"name": "entra"}}, ["failed"]),
    ],
)
def test_a_scimtoken_passes_when_it_was_seen_and_is_ready(body: Any, outcomes: list[str]) -> None:
    assert [one.outcome for one in checks_token.state(ScimToken(body))] == outcomes


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        ((), "not checkable"),
        ((condition("EndpointReachable"),), "passed"),
        ((condition("EndpointReachable", "False", "TlsFailed"),), "failed"),
        ((condition("EndpointReachable", "Unknown", "CheckDisabled"),), "not checkable"),
    ],
)
def test_the_endpoint_from_inside_is_what_the_operator_found(conditions: Any, outcome: str) -> None:
    assert checks_token.reachable_from_inside(ScimToken(scimtoken(*conditions))).outcome == outcome


def _entra(*conditions: dict[str, str]) -> list[str]:
    token = ScimToken(scimtoken(*conditions, spec={"entra": {"tenantID": "x"}}))
    return [one.outcome for one in checks_token.entra(token)]


@pytest.mark.parametrize(
    ("hand_over", "job", "outcomes"),
    [
        (("True", "InUse"), ("True", "Active"), ["passed"] * 4),
        (("False", "Off"), ("True", "Active"), ["passed"] * 4),
        (("False", "NotInUse"), ("False", "Quarantined"), ["passed", "passed", "failed", "failed"]),
        (
            ("False", "EntraSignInRefused"),
            ("Unknown", "EntraSignInRefused"),
            ["failed", "not checkable", "failed", "not checkable"],
        ),
        (
            ("False", "PermissionMissing"),
            ("Unknown", "NotChecked"),
            ["passed", "failed", "failed", "not checkable"],
        ),
        (("False", "Saved"), ("Unknown", "NotRun"), ["passed", "passed", "not checkable", "not checkable"]),
        (("Unknown", "GraphUnreachable"), ("Unknown", "NotChecked"), ["not checkable"] * 4),
    ],
)
def test_sign_in_rights_hand_over_and_job_are_told_apart(
    hand_over: tuple[str, str], job: tuple[str, str], outcomes: list[str]
) -> None:
    assert _entra(condition("HandedOver", *hand_over), condition("Provisioning", *job)) == outcomes


def test_entra_is_not_spoken_of_without_spec_entra_and_not_told_before_its_conditions_are_there() -> None:
    assert list(checks_token.entra(ScimToken(scimtoken()))) == []
    assert _entra() == ["not checkable"] * 4


def test_reasons_of_sign_in_and_rights_are_the_operators() -> None:
    obstacles = {one.value for one in Obstacle}
    assert obstacles >= checks_token.SIGN_IN | checks_token.RIGHTS
