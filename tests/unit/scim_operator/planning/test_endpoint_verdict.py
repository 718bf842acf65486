"""What a check of the public URL means, answer by answer."""

import pytest

from scim_api.contract.urns import ERROR
from scim_operator.planning.endpoint_verdict import (
    CHECK_DISABLED,
    PENDING,
    ConnectionFailure,
    EndpointVerdict,
    verdict_of_failure,
    verdict_of_response,
)

URL = "https://scim.example.com/scim/v2"
ASKS = f'{{"schemas":["{ERROR}"],"status":"401"}}'.encode()


def told(status: int, body: bytes = b"", location: str | None = None) -> EndpointVerdict:
    return verdict_of_response(URL, status, body, location)


def test_a_scim_error_401_is_what_entra_needs() -> None:
    assert told(401, ASKS) == EndpointVerdict(
        "True", "Reachable", f"{URL} answers as a SCIM API and asks for a token"
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"schemas":["urn:x"]}', ASKS.replace(b"]", b',"urn:x"]')]
)
def test_any_other_401_is_a_proxys(body: bytes) -> None:
    verdict = told(401, body)
    assert (verdict.status, verdict.reason) == ("False", "WrongService")
    assert "a login of its own" in verdict.message


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (200, "WrongService", "leads to another service"),
        (299, "WrongService", "leads to another service"),
        (300, "Redirected", "the final address"),
        (308, "Redirected", "the final address"),
        (399, "Redirected", "the final address"),
        (400, "WrongService", "leads to another service"),
        (403, "Forbidden", "AzureActiveDirectory"),
        (404, "NotFound", "the path is not"),
        (407, "WrongService", "a login of its own"),
        (429, "Overloaded", "limits requests"),
        (500, "Unavailable", "the SCIM API behind it"),
        (501, "WrongService", "leads to another service"),
        (502, "Unavailable", "the SCIM API behind it"),
        (503, "Unavailable", "the SCIM API behind it"),
        (504, "Unavailable", "the SCIM API behind it"),
        (505, "WrongService", "leads to another service"),
    ],
)
def test_each_status_has_its_reason_and_is_named(status: int, reason: str, said: str) -> None:
    for body in (b"", ASKS):
        verdict = told(status, body)
        assert (verdict.status, verdict.reason) == ("False", reason)
        assert f"{URL} answers {status}" in verdict.message
        assert said in verdict.message
        assert verdict.summary == f"{verdict.reason} {verdict.message}"


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://other.example.com:8443/x?secret=1", "https://other.example.com:8443"),
        ("/elsewhere", "another address"),
        ("", "another address"),
        (None, "another address"),
    ],
)
def test_a_redirect_says_where_to_and_not_with_what(location: str | None, where: str) -> None:
    assert f"sends on to {where}: " in told(302, location=location).message


@pytest.mark.parametrize(
    ("failure", "reason", "said"),
    [
        (ConnectionFailure.CERTIFICATE, "TlsFailed", "the certificate of h is not trusted (why)"),
        (ConnectionFailure.TLS, "TlsFailed", "no TLS with h:443 (why)"),
        (ConnectionFailure.DNS, "DnsFailed", "the name h does not resolve"),
        (ConnectionFailure.REFUSED, "ConnectionRefused", "h:443 refuses connections"),
        (ConnectionFailure.TIMEOUT, "TimedOut", "h:443 does not answer within 10 s"),
        (ConnectionFailure.OTHER, "ConnectionFailed", "the connection to h:443 failed (why)"),
    ],
)
def test_each_failure_has_its_reason(failure: ConnectionFailure, reason: str, said: str) -> None:
    verdict = verdict_of_failure("https://h/scim/v2", failure, "why")
    assert (verdict.status, verdict.reason) == ("False", reason)
    assert said in verdict.message


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://h/x", "h:443"),
        ("http://h/x", "h:80"),
        ("https://h:8443/x", "h:8443"),
        ("http://h:443/x", "h:443"),
    ],
)
def test_a_port_is_the_urls_or_its_schemes(url: str, where: str) -> None:
    assert f"{where} refuses" in verdict_of_failure(url, ConnectionFailure.REFUSED, "").message


def test_what_is_no_url_is_named_as_it_is() -> None:
    assert "the name scim does not resolve" in verdict_of_failure("scim", ConnectionFailure.DNS, "").message


def test_before_the_first_check_and_without_one_the_condition_is_unknown() -> None:
    assert (PENDING.status, PENDING.reason) == ("Unknown", "Pending")
    assert (CHECK_DISABLED.status, CHECK_DISABLED.reason) == ("Unknown", "CheckDisabled")


def test_the_summary_differs_when_reason_or_message_does() -> None:
    verdicts = {verdict_of_failure(URL, failure, "x").summary for failure in ConnectionFailure}
    assert len(verdicts) == len(ConnectionFailure)
