"""From an answer to an error for people: what stands in the way, when to come again, and never a secret."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.planning.entra import diagnosis, requests
from scim_operator.planning.entra.diagnosis import Answer
from scim_operator.planning.entra.ports import EntraError, Obstacle
from support.microsoft import (
    APPLICATION,
    BEARER,
    CLIENT,
    JOB,
    JOB_ID,
    NOW,
    OAUTH,
    REQUEST_ID,
    SECRET,
    TENANT,
    answer,
    caller,
    graph_error,
    sign_in_error,
)

VALIDATE = requests.validate(APPLICATION, JOB, BEARER)
REQUESTS = (
    requests.list_jobs(APPLICATION),
    requests.read_job(APPLICATION, JOB_ID),
    VALIDATE,
    requests.save(APPLICATION, OAUTH, {}),
    requests.provision_on_demand(APPLICATION, JOB_ID, "rule", "object"),
)


def of_graph(found: Answer, request: requests.GraphRequest = VALIDATE) -> EntraError:
    return diagnosis.of_graph(found, request, caller(), NOW, (BEARER.token, "an-access-token"))


def of_login(found: Answer) -> EntraError:
    return diagnosis.of_login(found, caller(SECRET), NOW, ("an-assertion",))


def test_a_bare_401_is_the_missing_grant_with_its_request_id() -> None:
    error = of_graph(answer(401, graph_error("UnknownError")), requests.list_jobs(APPLICATION))
    assert (error.obstacle, error.request_id) == (Obstacle.PERMISSION_MISSING, REQUEST_ID)
    assert error.message.startswith(
        "reading the provisioning jobs: Graph answered 401 UnknownError. "
        f"Grant application {CLIENT} the app role Synchronization.ReadWrite.All: az ad app permission add "
    )


def test_the_innermost_cause_is_told_first_in_microsofts_words_then_in_ours() -> None:
    inner = {"error": {"code": "InvalidCredentials", "message": "The credentials\r\nare not valid."}}
    error = of_graph(answer(400, graph_error("CredentialValidationUnavailable", inner)))
    assert error.obstacle is Obstacle.CREDENTIALS_REFUSED
    assert error.message == (
        "Entra's Test Connection: Graph answered 400 InvalidCredentials: The credentials are not valid. "
        "The SCIM API or its token endpoint refused the credentials: they are not the ones of this ScimToken, or have "
        "ended"
    )


def test_microsofts_words_are_repeated_bounded_and_without_credentials() -> None:
    words = f"{BEARER.token} and an-access-token and {SECRET.secret} refused " + "x" * 1000
    for error in (
        of_graph(answer(400, graph_error("A", words))),
        of_login(answer(400, sign_in_error(1, words))),
    ):
        assert BEARER.token not in error.message
    assert "an-access-token" not in of_graph(answer(400, graph_error("A", words))).message
    assert SECRET.secret not in of_login(answer(400, sign_in_error(1, words))).message
    assert len(of_login(answer(400, sign_in_error(1, words))).message) < 450


def test_a_code_that_is_a_secret_is_not_repeated() -> None:
    assert BEARER.token not in of_graph(answer(400, graph_error(BEARER.token))).message


def test_the_login_is_told_in_our_words_then_in_its_own() -> None:
    error = of_login(answer(401, sign_in_error(7000222, "The provided client secret keys are expired.")))
    assert (error.obstacle, error.request_id) == (Obstacle.SIGN_IN_REFUSED, REQUEST_ID)
    assert error.message.startswith(
        "the client secret has expired: make a new one (az ad app credential reset"
    )
    assert (
        "Microsoft's login answered 401: AADSTS7000222: The provided client secret keys are expired."
        in error.message
    )


def test_a_missing_consent_has_the_link_to_send_to_the_customer() -> None:
    error = of_login(answer(400, sign_in_error(7000229, error="unauthorized_client")))
    assert error.obstacle is Obstacle.CONSENT_MISSING
    assert f"https://login.microsoftonline.com/{TENANT}/adminconsent?client_id={CLIENT}" in error.message


@pytest.mark.parametrize(
    ("status", "content", "obstacle", "words"),
    [
        (400, sign_in_error(123456, "New."), Obstacle.SIGN_IN_REFUSED, "AADSTS123456: New."),
        (400, {"error": "invalid_request"}, Obstacle.SIGN_IN_REFUSED, "invalid_request"),
        (400, {"error": "temporarily_unavailable"}, Obstacle.UNREACHABLE, "tries again"),
        (404, b"<html>", Obstacle.SIGN_IN_REFUSED, "SCIM_OPERATOR_ENTRA_LOGIN_URL"),
        (302, b"", Obstacle.UNREACHABLE, "tries again"),
        (429, None, Obstacle.UNREACHABLE, "tries again"),
        (500, b"oops", Obstacle.UNREACHABLE, "tries again"),
    ],
)
def test_what_the_login_says_besides_known_codes(
    status: int, content: Any, obstacle: Obstacle, words: str
) -> None:
    error = of_login(answer(status, content))
    assert error.obstacle is obstacle
    assert words in error.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("999999", 3600),
        ("Sun, 29 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 29 Nov 2037 11:00:00 GMT", 3600),
        ("-5", None),
        ("1.5", None),
        ("9" * 50, None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date_and_bounded(value: str, seconds: int | None) -> None:
    found = answer(429, graph_error("TooManyRequests"), retry_after=value)
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert of_graph(found).retry_after == of_login(found).retry_after == expected


def test_without_retry_after_there_is_none() -> None:
    assert of_graph(answer(429)).retry_after is None


def test_the_request_id_of_the_header_comes_first_and_has_to_be_one() -> None:
    other = "0" * 32
    assert of_graph(answer(500, graph_error("A"), request_id=other)).request_id == other
    assert of_graph(answer(500, graph_error("A"), request_id="x\ny")).request_id == REQUEST_ID
    assert of_login(answer(500, None, x_ms_request_id=other)).request_id == other
    assert of_login(answer(500)).request_id is None


def test_an_answer_of_somebody_else_names_the_setting() -> None:
    error = diagnosis.not_an_answer("graph.example", "Graph", answer(200, b"<html>"))
    assert error.obstacle is Obstacle.UNREACHABLE
    assert "graph.example answered 200" in error.message
    assert "SCIM_OPERATOR_ENTRA_GRAPH_URL" in error.message
    assert "ENTRA_LOGIN_URL" in diagnosis.not_an_answer("x", "the login", answer(200)).message


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "error_codes", "error_description", "code", "message", "innerError"]),
            inner,
        )
        | inner.map(json.dumps)
    ),
    max_leaves=10,
)
BODIES = st.binary() | ANYTHING.map(lambda content: json.dumps(content).encode())


@given(
    status=st.integers(100, 599).filter(lambda status: not 200 <= status < 300),
    body=BODIES,
    retry_after=st.text(),
    request=st.sampled_from(REQUESTS),
)
def test_any_answer_becomes_an_error_in_one_bounded_line(
    status: int, body: bytes, retry_after: str, request: requests.GraphRequest
) -> None:
    found = Answer(status, {"retry-after": retry_after, "request-id": retry_after}, body)
    for error in (of_graph(found, request), of_login(found)):
        assert isinstance(error, EntraError)
        assert 0 < len(error.message) < 2500
        assert "\n" not in error.message
        assert error.retry_after is None or timedelta(0) <= error.retry_after <= diagnosis.LONGEST_RETRY_AFTER
