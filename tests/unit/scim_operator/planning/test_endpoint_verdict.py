"""What a response, or none, means for the condition EndpointReachable."""

import pytest

from scim_operator.planning.endpoint_verdict import (
    CHECK_DISABLED,
    PENDING,
    ConnectionFailure,
    verdict_of_failure,
    verdict_of_response,
)

URL = "https://scim.example.com/scim/v2"
SCIM_401 = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"the token is missing"}'


@pytest.mark.parametrize(
    ("status", "body", "verdict", "reason", "remedy"),
    [
        (401, SCIM_401, "True", "Reachable", "asks for a token"),
        (401, b"<html>log in</html>", "False", "WrongService", "a proxy in front of it"),
        (401, b'{"schemas":["x"]}', "False", "WrongService", "a proxy in front of it"),
        (401, b"[]", "False", "WrongService", "a proxy in front of it"),
        (200, SCIM_401, "False", "WrongService", "leads to another service"),
        (400, b"", "False", "WrongService", "leads to another service"),
        (404, b"default backend - 404", "False", "NotFound", "the path is not"),
        (403, b"", "False", "Forbidden", "AzureActiveDirectory"),
        (407, b"", "False", "WrongService", "proxy"),
        (429, b"", "False", "Overloaded", "limits requests"),
        (500, b"", "False", "Unavailable", "Look at its pods"),
        (502, b"", "False", "Unavailable", "Look at its pods"),
        (503, b"", "False", "Unavailable", "Look at its pods"),
        (504, b"", "False", "Unavailable", "Look at its pods"),
    ],
)
def test_answers_are_told_apart_with_what_to_do(
    status: int, body: bytes, verdict: str, reason: str, remedy: str
) -> None:
    reach = verdict_of_response(URL, status, body)
    assert (reach.status, reach.reason) == (verdict, reason)
    assert remedy in reach.message
    assert "scim.example.com" in reach.message


def test_a_redirect_tells_where_it_leads_and_nothing_of_its_query() -> None:
    reach = verdict_of_response(URL, 302, b"", "https://login.example.com/?code=confidential")
    assert reach.reason == "Redirected"
    assert "https://login.example.com" in reach.message
    assert "confidential" not in reach.message


@pytest.mark.parametrize(
    ("failure", "reason", "sentence"),
    [
        (
            ConnectionFailure.CERTIFICATE,
            "TlsFailed",
            "the certificate of scim.example.com is not trusted (detail)",
        ),
        (ConnectionFailure.TLS, "TlsFailed", "no TLS with scim.example.com:443 (detail)"),
        (ConnectionFailure.DNS, "DnsFailed", "the name scim.example.com does not resolve"),
        (ConnectionFailure.REFUSED, "ConnectionRefused", "scim.example.com:443 refuses connections"),
        (ConnectionFailure.TIMEOUT, "TimedOut", "scim.example.com:443 does not answer within 10 s"),
        (
            ConnectionFailure.OTHER,
            "ConnectionFailed",
            "the connection to scim.example.com:443 failed (detail)",
        ),
    ],
)
def test_each_failure_has_its_reason_and_names_host_and_port(
    failure: ConnectionFailure, reason: str, sentence: str
) -> None:
    verdict = verdict_of_failure(URL, failure, "detail")
    assert (verdict.status, verdict.reason) == ("False", reason)
    assert sentence in verdict.message


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://a.test/scim/v2", 80), ("https://a.test/scim/v2", 443), ("http://a.test:8080/x", 8080)],
)
def test_the_port_is_the_one_of_the_url(url: str, port: int) -> None:
    assert f"a.test:{port}" in verdict_of_failure(url, ConnectionFailure.REFUSED, "").message


def test_before_the_first_check_and_without_one_the_condition_is_unknown() -> None:
    assert (PENDING.status, PENDING.reason) == ("Unknown", "Pending")
    assert (CHECK_DISABLED.status, CHECK_DISABLED.reason) == ("Unknown", "CheckDisabled")


def test_the_summary_differs_when_reason_or_message_does() -> None:
    verdicts = {verdict_of_failure(URL, failure, "x").summary for failure in ConnectionFailure}
    assert len(verdicts) == len(ConnectionFailure)
