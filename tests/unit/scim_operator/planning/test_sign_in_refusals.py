"""What people are told of a sign-in that the token endpoint refused: enough to set it right, and no more than that."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus, TokenRefusal
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import RefusedSignIn
from scim_operator.planning.sign_in_refusals import (
    REASONS,
    content_of,
    diagnosis,
    is_other_than_shown,
    is_refused,
    reason_of,
    shown_refusal,
)

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
IDENTITY = {"tenantID": TENANT, "subjects": ["s1"], "audiences": ["api://app/.default", "api://app"]}


def token(auth_type: str = "WorkloadIdentity", **identity: Any) -> ScimToken:
    auth: dict[str, Any] = {"type": auth_type}
    if auth_type == "WorkloadIdentity":
        auth["workloadIdentity"] = IDENTITY | identity
    return ScimToken.from_object({"metadata": {"name": "entra", "namespace": "team"}, "spec": {"auth": auth}})


def refusal(check: str = "aud", at: datetime = NOW, **more: str) -> TokenRefusal:
    return TokenRefusal(at=at, check=check, **more)


def credential(kind: str = "ClientSecret", used: datetime | None = None) -> CredentialStatus:
    return CredentialStatus.model_validate(
        {
            "id": kind,
            "kind": kind,
            "digest": "a" * 64,
            "issued_at": NOW - HOUR,
            "expires_at": NOW + HOUR,
            "last_used_at": used,
        }
    )


def connection(last: TokenRefusal | None, *credentials: CredentialStatus) -> Connection:
    return Connection(
        namespace="team", name="entra", exists=True, revision="r", now=NOW, last_refusal=last,
        credentials=credentials or (credential(),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("used", "refused"), [(None, True), (NOW - HOUR, True), (NOW, False), (NOW + HOUR, False)]
)
def test_who_has_come_in_since_is_not_refused(used: datetime | None, refused: bool) -> None:
    assert is_refused(connection(refusal(), credential(used=used))) is refused


def test_a_bearer_token_in_use_hides_no_refusal() -> None:
    beside = credential("BearerToken", NOW + HOUR)
    assert is_refused(connection(refusal(), credential(), beside))


def test_without_a_refusal_or_a_client_nobody_is_refused() -> None:
    assert not is_refused(connection(None))
    assert not is_refused(connection(refusal(), credential("BearerToken")))
    assert shown_refusal(connection(refusal(), credential("BearerToken")), None) is None


@pytest.mark.parametrize(
    ("later", "received", "is_news"),
    [
        (timedelta(0), "x", False),
        (HOUR - timedelta(seconds=1), "x", False),
        (HOUR, "x", True),
        (-HOUR, "x", True),
        (timedelta(0), "y", True),
    ],
)
def test_the_same_refusal_moves_once_an_hour_and_another_at_once(
    later: timedelta, received: str, is_news: bool
) -> None:
    before = RefusedSignIn(at=NOW, check="aud", received="x")
    seen = connection(refusal(at=NOW + later, received=received))
    shown = shown_refusal(seen, before)
    assert shown is not None
    assert (shown != before) is is_news
    assert is_other_than_shown(seen, before.at, content_of(before), refused=True) is is_news
    assert not is_other_than_shown(seen, shown.at, content_of(shown), refused=True)


def test_what_is_shown_no_more_is_news_once() -> None:
    before = RefusedSignIn(at=NOW, check="aud")
    assert is_other_than_shown(connection(None), before.at, content_of(before), refused=True)
    assert shown_refusal(connection(None), before) is None
    assert not is_other_than_shown(connection(None), None, None, refused=False)
    assert is_other_than_shown(connection(refusal()), None, None, refused=False)


def test_a_use_after_the_refusal_is_news_until_the_condition_says_so() -> None:
    before = RefusedSignIn(at=NOW, check="aud")
    seen = connection(refusal(), credential(used=NOW + HOUR))
    assert is_other_than_shown(seen, before.at, content_of(before), refused=True)
    assert not is_other_than_shown(seen, before.at, content_of(before), refused=False)


def test_a_wrong_audience_reads_like_a_diagnosis_with_the_line_to_add() -> None:
    shown = RefusedSignIn(at=NOW, check="aud", received="api://other")
    assert diagnosis(token(), shown) == (
        "Entra sent aud api://other; spec.auth.workloadIdentity.audiences has api://app, api://app/.default. If that is "
        "your application's, add the line to audiences: - api://other"
    )


def test_a_long_list_is_cut() -> None:
    shown = RefusedSignIn(at=NOW, check="sub", received="s9")
    said = diagnosis(token(subjects=[f"s{number}" for number in range(5)]), shown)
    assert "subjects has s0, s1, s2 and 2 more. If" in said
    assert said.endswith("add the line to subjects: - s9")


@pytest.mark.parametrize(
    ("subject", "check", "said"),
    [
        (token(), "iss", "for this tenant and cloud are taken: https://login.microsoftonline.com/"),
        (token(issuers=["i1"]), "iss", "issuers has i1. If that is your tenant's issuer, add the line"),
        (token(), "tid", f"tenantID is {TENANT}. Correct tenantID if that is your tenant; if not, somebody else"),
        (token(), "keys", "SCIM_API_KEYS_HOSTS"),
        (token(), "exp", "compare the clocks"),
        (token(), "nbf", "compare the clocks"),
        (token(), "kid", "kid did not hold (expected -, received it)"),
        (token(), "secret", "spec.auth.type is WorkloadIdentity. If that is Entra, choose"),
        (token("OAuthClientCredentials"), "secret", "client-secret of Secret team/entra-scim-token"),
        (token("BearerToken"), "secret", "key token of Secret team/entra-scim-token"),
        (token("OAuthClientCredentials"), "aud", "aud did not hold (expected -, received it)"),
    ],
)  # fmt: skip
def test_each_reason_says_what_to_do(subject: ScimToken, check: str, said: str) -> None:
    assert said in diagnosis(subject, RefusedSignIn(at=NOW, check=check, received="it"))


def test_a_spec_that_is_not_understood_gets_the_bare_reason() -> None:
    unknown = ScimToken.from_object({"metadata": {"name": "e"}, "spec": {"auth": {"type": "Kerberos"}}})
    assert "aud did not hold" in diagnosis(unknown, RefusedSignIn(at=NOW, check="aud"))
    assert "secret did not hold" in diagnosis(unknown, RefusedSignIn(at=NOW, check="secret"))


def test_what_came_can_not_write_on_a_terminal() -> None:
    shown = shown_refusal(connection(refusal(received="\x1b[2Ja\nb")), None)
    assert shown is not None
    assert shown.received == "?[2Ja?b"


def test_every_check_has_a_reason() -> None:
    assert {reason_of(check) for check in REASONS} == set(REASONS.values())
    assert reason_of("something new") == "Refused"
