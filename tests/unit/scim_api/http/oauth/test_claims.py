"""Which claims a trust is met by: each exactly, and nothing else demanded."""

from typing import Any, Final

import pytest

from scim_api.contract.admin import TokenRefusal
from scim_api.contract.signing import utc_now
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.claims import LEEWAY, LONGEST_REST, check_claims, shown
from scim_api.http.oauth.jwt_form import decode_claims
from support.federation import APPLICATION, AUDIENCES, ENTRA_TENANT, NOW, SUBJECT, TRUST, claims

LOGIN: Final = "https://login.microsoftonline.com"
OTHER_TENANT: Final = "11111111-0b0a-0908-0706-050403020100"


def refusal(*, now: float = NOW, **changes: Any) -> AssertionRefused:
    with pytest.raises(AssertionRefused) as refused:
        check_claims(claims(**changes), TRUST, now)
    return refused.value


@pytest.mark.parametrize(
    "variant",
    [
        {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": f"api://{APPLICATION}", "appid": APPLICATION, "appidacr": "2"},
        {"iss": f"{LOGIN}/{ENTRA_TENANT}", "aud": APPLICATION},
        {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": APPLICATION},
        {"iss": f"https://login.windows.net/{ENTRA_TENANT}/v2.0", "aud": f"api://{APPLICATION}/.default"},
        {"iss": f"https://sts.windows.net/{ENTRA_TENANT}/", "ver": "1.0", "azp": ..., "azpacr": ...},
    ],
    ids=["WIF", "WIFSET", "SAP", "keys at login.windows.net", "version 1"],
)  # fmt: skip
def test_the_claims_are_met_as_microsofts_pages_and_tokens_have_them(variant: dict[str, Any]) -> None:
    check_claims(claims(**variant), TRUST, NOW)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_each_audience_of_the_trust_is_one(audience: str) -> None:
    check_claims(claims(aud=audience), TRUST, NOW)
    check_claims(claims(aud=[audience]), TRUST, NOW)


def test_nothing_else_is_demanded() -> None:
    least = {"iss": TRUST.issuers[0], "aud": APPLICATION, "sub": SUBJECT, "tid": ENTRA_TENANT, "exp": NOW + 1}
    check_claims(least, TRUST, NOW)


@pytest.mark.parametrize(
    "iss",
    [
        f"{LOGIN}/{OTHER_TENANT}/v2.0",
        f"{LOGIN}/{ENTRA_TENANT}/v2.0/",
        f"{LOGIN}/{ENTRA_TENANT}/v2.0.evil.example",
        f"{LOGIN}/{ENTRA_TENANT}/V2.0",
        f"{LOGIN}/{ENTRA_TENANT.upper()}/v2.0",
        f"http://login.microsoftonline.com/{ENTRA_TENANT}/v2.0",
        f" {LOGIN}/{ENTRA_TENANT}/v2.0",
        f"{LOGIN}/{ENTRA_TENANT}/",
        "https://evil.example/",
        "",
    ],
)
def test_another_issuer_is_refused_with_both(iss: str) -> None:
    refused = refusal(iss=iss)
    assert (refused.check, refused.received) == ("iss", iss)
    assert refused.expected == " or ".join(TRUST.issuers)


@pytest.mark.parametrize(
    "tid", [OTHER_TENANT, ENTRA_TENANT.upper(), f"{ENTRA_TENANT} ", ENTRA_TENANT[:-1], ""]
)
def test_another_tenant_is_refused_with_both(tid: str) -> None:
    refused = refusal(tid=tid)
    assert (refused.check, refused.expected, refused.received) == ("tid", ENTRA_TENANT, tid)


@pytest.mark.parametrize("sub", [APPLICATION, SUBJECT.upper(), f"{SUBJECT}0", SUBJECT[:-1], "", "*"])
def test_another_subject_is_refused_with_both(sub: str) -> None:
    refused = refusal(sub=sub)
    assert (refused.check, refused.expected, refused.received) == ("sub", SUBJECT, sub)


@pytest.mark.parametrize(
    "aud",
    [
        SUBJECT, APPLICATION.upper(), f"api://{APPLICATION}/", f"api://{APPLICATION}/scim.example", f"API://{APPLICATION}",
        "api://", f"{APPLICATION},other", f"api://{APPLICATION}/.default/.default", "",
    ],
)  # fmt: skip
def test_another_audience_is_refused_with_both(aud: str) -> None:
    refused = refusal(aud=aud)
    assert (refused.check, refused.expected, refused.received) == ("aud", " or ".join(AUDIENCES), aud)


@pytest.mark.parametrize(
    "aud",
    [
        [APPLICATION, "api://another"],
        ["api://another", APPLICATION],
        list(AUDIENCES),
        [],
        [[APPLICATION]],
        [None],
    ],
)
def test_an_assertion_that_is_meant_for_others_too_is_refused(aud: object) -> None:
    """Whoever else it was sent to could sign in with it here."""
    assert refusal(aud=aud).check == "aud"


@pytest.mark.parametrize("claim", ["iss", "tid", "sub", "aud"])
@pytest.mark.parametrize("value", [..., None, 1, True, {}, [], {"a": "b"}, ["x"]])
def test_a_claim_that_is_missing_or_no_text_is_refused(claim: str, value: object) -> None:
    changes: dict[str, Any] = {claim: value}
    refused = refusal(**changes)
    assert refused.check == claim
    assert (refused.received == "") == (value in (..., None))


@pytest.mark.parametrize("claim", ["iss", "tid", "sub"])
def test_a_list_is_no_text_even_with_the_right_one_alone_in_it(claim: str) -> None:
    changes: dict[str, Any] = {claim: [claims()[claim]]}
    assert refusal(**changes).check == claim


def test_it_ends_a_leeway_after_its_expiry() -> None:
    check_claims(claims(exp=NOW), TRUST, NOW + LEEWAY - 0.001)
    refused = refusal(exp=NOW, now=NOW + LEEWAY)
    assert (refused.check, refused.expected, refused.received) == (
        "exp",
        "after 2026-05-28T20:27:40Z",
        "2026-05-28T20:26:40Z",
    )


def test_it_begins_a_leeway_before_its_time() -> None:
    check_claims(claims(nbf=NOW), TRUST, NOW - LEEWAY)
    refused = refusal(nbf=NOW, now=NOW - LEEWAY - 0.001)
    assert (refused.check, refused.expected, refused.received) == (
        "nbf",
        "2026-05-28T20:25:39Z or before",
        "2026-05-28T20:26:40Z",
    )


def test_without_a_beginning_it_has_begun() -> None:
    check_claims(claims(nbf=...), TRUST, NOW)


def test_one_that_lasts_longer_than_a_day_is_refused() -> None:
    check_claims(claims(exp=NOW + LONGEST_REST + LEEWAY), TRUST, NOW)
    refused = refusal(exp=NOW + LONGEST_REST + LEEWAY + 1)
    assert (refused.check, refused.expected, refused.received) == (
        "exp",
        "within 24 hours",
        "2026-05-29T20:27:41Z",
    )


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize(
    "value",
    [
        b'"1780000100"', b"1780000100.5", b"1780000100.0", b"1.7800001e9", b"true", b"null", b"[1780000100]", b"{}", b"-1",
        b"253402300800", b"99999999999999999999", b"18446744073709551615", b"1" * 300, b"1e308", b"-0", b"0.0",
    ],
)  # fmt: skip
def test_a_time_that_is_not_in_whole_seconds_of_this_calendar_is_refused(claim: str, value: bytes) -> None:
    sent = decode_claims(b'{"%s":%s}' % (claim.encode(), value))
    refused = refusal(**sent)
    assert refused.check == claim
    assert refused.expected == "a time in whole seconds since 1970"
    assert len(refused.received) <= 256


def test_without_an_expiry_it_is_refused() -> None:
    assert refusal(exp=...).check == "exp"


def test_the_identity_is_checked_before_the_rest() -> None:
    """What is told of the rest is then of the tenant that the trust names, and not of whoever Entra signs for."""
    wrong: dict[str, Any] = {"iss": "x", "tid": "x", "sub": "x", "aud": "x", "nbf": NOW + 900, "exp": 1}
    for check in ("iss", "tid", "sub", "aud", "nbf", "exp"):
        assert refusal(**wrong).check == check
        del wrong[check]


@pytest.mark.parametrize(
    "value", ["x" * 20_000, "\x1b[31m\n", "ünïcode", ["y" * 999] * 16, {"\u202e": "\x00"}, 10**400]
)
def test_what_is_shown_of_a_claim_is_short_and_printable(value: object) -> None:
    text = shown(value)
    assert len(text) <= 256
    assert all(" " <= char <= "~" for char in text)


def test_a_refusal_fits_into_the_status_however_much_the_trust_names() -> None:
    wide = TRUST.model_copy(update={"audiences": tuple(f"{number}{'a' * 250}" for number in range(16))})
    with pytest.raises(AssertionRefused) as refused:
        check_claims(claims(aud="b" * 9999), wide, NOW)
    told = refused.value
    TokenRefusal(at=utc_now(), check=told.check, expected=told.expected, received=told.received)
    assert told.expected.endswith("...")
