"""What an attempt means, by the specification of Standard Webhooks."""

from datetime import UTC, datetime

import pytest

from scim_api.delivery.outcome import (
    Outcome,
    Result,
    outcome_of_answer,
    outcome_of_failure,
    outcome_of_timeout,
    read_retry_after,
)
from scim_api.outbound.pinned_client import Answer, NotAnswered

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
DAY = 86_400


def answered(status: int, body: bytes = b"", **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return outcome_of_answer(Answer(status, named, body, is_whole=True), NOW)


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "delivered"), (204, "delivered"), (299, "delivered"), (300, "rejected"), (301, "rejected"), (302, "rejected"),
     (400, "rejected"), (404, "rejected"), (500, "rejected"), (503, "rejected"), (410, "gone"), (429, "slow_down"),
     (502, "slow_down"), (504, "slow_down")],
)  # fmt: skip
def test_a_status_means_what_the_specification_says(status: int, result: str) -> None:
    assert answered(status).result == result


def test_a_receiver_that_asks_for_a_rest_gets_it() -> None:
    assert answered(503, retry_after="120") == Outcome(Result.SLOW_DOWN, "HTTP 503", 120)
    assert answered(429, retry_after="7").retry_after == 7
    assert answered(200, retry_after="7") == Outcome(Result.DELIVERED)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30", 30), (" 30 ", 30), ("9" * 50, DAY), ("Mon, 23 Nov 2026 14:01:30 GMT", 90),
     ("Mon, 23 Nov 2026 13:00:00 GMT", 0), ("Thu, 23 Nov 2028 14:00:00 GMT", DAY), ("", 0), ("soon", 0), ("-5", 0), ("1.5", 0),
     ("٣", 0)],
    ids=["none", "seconds", "spaces", "huge", "date", "past", "far", "empty", "word", "negative", "fraction", "script"],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_bounded_by_a_day(text: str, seconds: float) -> None:
    assert read_retry_after(text, NOW) == seconds


def test_of_what_a_receiver_writes_200_characters_are_kept_on_one_line() -> None:
    outcome = answered(500, b"a\r\n\x1b[31mb\xff" + b"x" * 60_000)
    assert outcome.reason.startswith("HTTP 500: a [31mb\ufffdxxx")
    assert len(outcome.reason) == 200


def test_no_answer_is_told_with_its_kind() -> None:
    outcome = outcome_of_failure(NotAnswered("dns", "app.example can't be resolved"))
    assert outcome == Outcome(Result.UNREACHABLE, "DNS: app.example can't be resolved")
    assert outcome_of_timeout(15) == Outcome(Result.REJECTED, "timeout: no whole answer within 15 s")
