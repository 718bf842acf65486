"""What a refusal carries: fit for a header-safe JSON answer, for a log and for the database."""

import pytest

from scim_api.contract.admin import TokenRefusal
from scim_api.http.oauth.token_error import (
    MAX_EXPECTED,
    MAX_RECEIVED,
    Check,
    TokenError,
    invalid_client,
    invalid_request,
)


def bounds(field: str) -> int | None:
    return next(
        (
            item.max_length
            for item in TokenRefusal.model_fields[field].metadata
            if hasattr(item, "max_length")
        ),
        None,
    )


def test_bounds_are_those_of_the_contract() -> None:
    assert (bounds("expected"), bounds("received")) == (MAX_EXPECTED, MAX_RECEIVED)
    most = bounds("check")
    assert most is not None
    assert all(len(check) <= most for check in Check)


def test_a_text_of_any_length_is_cut_and_can_be_written() -> None:
    error = invalid_client("aud", "No.", expected="e" * 2000, received="r" * 600)
    assert error.expected == "e" * (MAX_EXPECTED - 1) + "…"
    assert error.received == "r" * (MAX_RECEIVED - 1) + "…"
    exact = invalid_client("aud", "No.", expected="e" * MAX_EXPECTED, received="r" * MAX_RECEIVED)
    assert (exact.expected, exact.received) == ("e" * MAX_EXPECTED, "r" * MAX_RECEIVED)


@pytest.mark.parametrize("received", ["\ud800", "a\udfffb", "\x00", "ä\U0001f600"])
def test_whatever_came_can_be_encoded(received: str) -> None:
    invalid_client("aud", "No.", received=received).received.encode()


def test_codes_and_statuses_are_those_of_the_rfc() -> None:
    assert (invalid_request("form", "No.").error, invalid_request("form", "No.").status) == (
        "invalid_request",
        400,
    )
    assert (invalid_client("secret", "No.").error, invalid_client("secret", "No.").status) == (
        "invalid_client",
        401,
    )


def test_its_text_tells_neither_what_was_expected_nor_what_came() -> None:
    text = str(TokenError("aud", "invalid_client", "No.", expected="wanted", received="sent"))
    assert text == "aud: invalid_client"
