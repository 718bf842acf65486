"""What doctor makes of the endpoint as this machine sees it."""

from datetime import timedelta

import pytest

from kubectl_scim.doctor.checks_endpoint import certificate, reached
from kubectl_scim.doctor.facts import Answer, Certificate, Failure
from support.scimtoken_objects import NOW

URL = "https://scim.example.com/scim/v2"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(URL, 200, is_scim_error=True), "answers 200 where a SCIM API asks"),
        (Answer(URL, 407), "asks for a login of its own"),
        (Answer(URL, 500), "the SCIM API behind it is not"),
        (Answer(URL, 300), "sends on to another address"),
        (Answer(URL, 400), "answers 400 where a SCIM API asks"),
        (Answer(URL, 200), "answers 200 where a SCIM API asks"),
        (Answer(URL, 401), "asks for a login of its own"),
        (Answer(URL, 403), "a firewall"),
        (Answer(URL, 404), "the path is not"),
        (Answer(URL, 429), "limits requests"),
        (Answer(URL, 503), "the SCIM API behind it is not"),
        (Answer(URL, 301, location="https://other.example.com/x?y"), "sends on to https://other.example.com"),
        (Answer(URL, 302), "sends on to another address"),
        *((Answer(URL, failure=failure, detail="the detail"), "(the detail)") for failure in Failure),
    ],
)
def test_an_endpoint_where_no_scim_api_asks_for_a_token_fails_with_what_to_do(
    answer: Answer, said: str
) -> None:
    check = reached(answer, inside_says_so=False)
    assert (check.outcome, bool(check.remedy)) == ("failed", True)
    assert said in check.message


def test_an_endpoint_that_asks_for_a_token_as_a_scim_api_does_passes() -> None:
    assert reached(Answer(URL, 401, is_scim_error=True), inside_says_so=False).outcome == "passed"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(URL, failure=Failure.TIMEOUT), "not checkable"),
        (Answer(URL, failure=Failure.DNS), "not checkable"),
        (Answer(URL, 403), "not checkable"),
        (Answer(URL, failure=Failure.CERTIFICATE), "failed"),
        (Answer(URL, 404), "failed"),
    ],
)
def test_what_may_be_this_machines_network_alone_is_no_failure_where_the_operator_gets_through(
    answer: Answer, outcome: str
) -> None:
    assert reached(answer, inside_says_so=True).outcome == outcome


@pytest.mark.parametrize(
    ("lasts", "left", "outcome"),
    [(90, 21, "passed"), (90, 20, "failed"), (47, 16, "passed"), (47, 15, "failed"), (6, 3, "passed")],
)
def test_a_certificate_is_renewed_three_weeks_before_its_end_or_in_the_last_third_of_a_short_life(
    lasts: int, left: int, outcome: str
) -> None:
    ends = NOW + timedelta(days=left)
    found = Certificate(ends - timedelta(days=lasts), ends, ("scim.example.com", "a", "b", "c"))
    check = certificate(Answer(URL, 401, certificate=found), NOW)
    assert check.outcome == outcome
    assert f"for scim.example.com, a, b, …, ends at {ends:%Y-%m-%dT}12:00:00Z (in {left} d)" in check.message


def test_three_names_of_a_certificate_are_told_whole() -> None:
    found = Certificate(NOW, NOW + timedelta(days=90), ("a", "b", "c"))
    assert certificate(Answer(URL, 401, certificate=found), NOW).message.startswith("for a, b, c, ends at")


def test_an_endpoint_without_a_trusted_certificate_fails() -> None:
    assert certificate(Answer("http://scim.example.com", 401), NOW).outcome == "failed"
    told = certificate(Answer(URL, failure=Failure.CERTIFICATE, detail="Hostname mismatch"), NOW)
    assert (told.outcome, told.message) == ("failed", "scim.example.com: Hostname mismatch")
    assert certificate(Answer(URL, failure=Failure.TIMEOUT), NOW).outcome == "not checkable"
