"""What is wrong with a ScimToken, the worst first, each with what to type next."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_scim.scimtoken import ScimToken
from support.scimtoken_objects import NOW, condition, credential, scimtoken


def wrong(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.severity, one.subject) for one in ScimToken(body).problems(NOW)]


def test_with_one_that_is_well_nothing_is_wrong() -> None:
    token = ScimToken(scimtoken())
    assert token.problems(NOW) == []
    assert token.is_settled
    assert (token.namespace, token.name, token.tenant, token.secret_name) == (
        "team",
        "entra",
        "entra",
        "entra-scim-token",
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (scimtoken(condition("Ready", "False", "SecretNotOwned")), [("error", "Ready: SecretNotOwned")]),
        (scimtoken(condition("Ready", "Unknown", "ScimApiUnreachable")), [("error", "Ready: ScimApiUnreachable")]),
        (scimtoken(condition("EndpointReachable", "False", "DnsFailed")), [("warning", "EndpointReachable: DnsFailed")]),
        (scimtoken(condition("EndpointReachable", "Unknown", "Pending")), []),
        (scimtoken(condition("SignInRefused", "True", "AudienceMismatch")), [("warning", "SignInRefused: AudienceMismatch")]),
        (scimtoken(condition("SignInRefused", "False", "NotRefused")), []),
        (scimtoken(condition("SupersededTokenInUse", "True", "InUse")), [("warning", "SupersededTokenInUse")]),
        (scimtoken(condition("HandedOver", "False", "NotPermitted")), [("warning", "HandedOver: NotPermitted")]),
        (scimtoken(condition("HandedOver", "Unknown", "GraphUnreachable")), [("warning", "HandedOver: GraphUnreachable")]),
        (scimtoken(condition("HandedOver", "False", "Off")), []),
        (scimtoken(condition("HandedOver", "False", "Saved")), []),
        (scimtoken(condition("Provisioning", "False", "Quarantine")), [("warning", "Provisioning: Quarantine")]),
        (scimtoken(condition("Provisioning", "Unknown", "GraphUnreachable")), [("warning", "Provisioning: GraphUnreachable")]),
        (scimtoken(condition("Provisioning", "Unknown", "NotChecked")), []),
        (scimtoken(generation=3), [("warning", "Operator")]),
        (scimtoken(observedGeneration=-1), [("error", "Operator")]),
        (scimtoken(credentials=(credential(lastUsedAt="2026-11-25T00:00:00Z"),)), [("warning", "Use")]),
        (scimtoken(credentials=(credential(lastUsedAt=None),)), [("warning", "Use")]),
        (scimtoken(credentials=(credential(lastUsedAt=None),), spec={"access": "ReadOnly"}), []),
        (scimtoken(credentials=(credential(lastUsedAt=None, issuedAt="2026-11-29T12:00:00Z"),)), []),
        (scimtoken(spec={"suspend": True}, nextRotation=None), []),
        (
            scimtoken(
                spec={"suspend": True}, nextRotation=None, credentials=(credential(issuedAt="2026-09-01T00:00:00Z", expiresAt="2026-12-10T00:00:00Z"),)
            ),
            [("warning", "Suspended")],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert wrong(body) == expected


def test_the_worst_comes_first_and_each_has_a_next_command() -> None:
    body = scimtoken(
        condition("EndpointReachable", "False", "DnsFailed"), condition("Ready", "False", "SecretNotOwned")
    )
    problems = ScimToken(body).problems(NOW)
    assert [one.severity for one in problems] == ["error", "warning"]
    assert problems[0].command == "kubectl get secret entra-scim-token -n team --show-labels"
    assert all(one.command for one in problems)


def test_the_active_credential_comes_first() -> None:
    token = ScimToken(scimtoken(credentials=(credential("t0", "Superseded"), credential("t1"))))
    assert [one.id for one in token.credentials] == ["t1", "t0"]
    assert token.active is not None
    assert token.active.id == "t1"


def test_one_that_nobody_has_seen_says_what_it_asks_for() -> None:
    body = {
        "metadata": {"name": "a"},
        "spec": {"tenant": "t", "secret": {"name": "s"}, "auth": {"type": "WorkloadIdentity"}},
    }
    token = ScimToken(body)
    assert (token.namespace, token.tenant, token.secret_name) == ("default", "t", "s")
    assert token.auth_type == "WorkloadIdentity"
    assert (token.credentials, token.active, token.is_settled) == ([], None, False)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["conditions", "tokens", "nextRotation", "secretName", "tenant"]), anything
    )
)
def test_a_status_of_another_release_is_never_an_error(status: dict[str, Any]) -> None:
    token = ScimToken(
        {"metadata": {"name": "a", "namespace": "b"}, "status": {"observedGeneration": 1, **status}}
    )
    token.problems(NOW + timedelta(days=1))
    assert isinstance(token.secret_name, str)
