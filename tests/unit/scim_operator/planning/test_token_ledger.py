"""The record of live tokens in a Secret's annotation: it comes back as written, whatever people do to it."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_operator.api.durations import LONGEST
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger

ISSUED = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
TOKEN = LedgerEntry("0123456789abcdef", "ab" * 32, ISSUED, ISSUED + timedelta(days=90))
moments = st.integers(946_684_800_000_000, 7_258_118_400_000_000).map(
    lambda number: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=number)
)


TRUST = WorkloadIdentityTrust(
    tenant_id="3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    subjects=("s1", "s2"),
    audiences=("api://app",),
    issuers=("i",),
    keys_url="https://keys.test",
)


@st.composite
def token_records(draw: st.DrawFn) -> LedgerEntry:
    issued = draw(moments)
    kind: Any = draw(st.sampled_from(["BearerToken", "ClientSecret", "WorkloadIdentity"]))
    return LedgerEntry(
        draw(st.from_regex(r"[0-9a-f]{16}", fullmatch=True)),
        draw(st.binary(min_size=32, max_size=32)).hex(),
        issued,
        issued + draw(st.timedeltas(timedelta(seconds=60), LONGEST)),
        draw(st.none() | moments),
        kind,
        TRUST if kind == "WorkloadIdentity" else None,
    )


@settings(max_examples=100)
@given(st.lists(token_records(), max_size=5), st.none() | st.text(max_size=20), st.none() | moments)
def test_what_is_written_is_read_again_to_the_microsecond(
    tokens: list[LedgerEntry], rotate: str | None, rotated_at: datetime | None
) -> None:
    record = TokenLedger(tuple(tokens), rotate, rotated_at)
    assert TokenLedger.from_text(record.to_text()) == record


def test_a_bearer_token_is_written_as_before_there_were_other_kinds() -> None:
    assert TokenLedger((TOKEN,)).to_text() == (
        '{"tokens":[{"digest":"' + "ab" * 32 + '","expiresAt":"2026-04-01T12:30:15.123456Z",'
        '"id":"0123456789abcdef","issuedAt":"2026-01-01T12:30:15.123456Z"}]}'
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "Kerberos"},
        {"kind": "WorkloadIdentity"},
        {"kind": 7},
        {"kind": None},
        {"kind": "WorkloadIdentity", "trust": {}},
        {"kind": "ClientSecret", "trust": TRUST.model_dump(mode="json", by_alias=True)},
    ],
)
def test_a_kind_that_is_not_known_or_lacks_its_trust_counts_as_damaged(damage: dict[str, Any]) -> None:
    content = {"tokens": [TOKEN.to_json() | damage]}
    assert TokenLedger.from_text(json.dumps(content)).tokens == ()


def test_an_entry_is_registered_as_what_it_is() -> None:
    entry = dataclasses.replace(TOKEN, kind="WorkloadIdentity", trust=TRUST)
    assert entry.to_credential(ISSUED).model_dump() == {
        "id": TOKEN.id,
        "kind": "WorkloadIdentity",
        "digest": TOKEN.digest,
        "issued_at": ISSUED,
        "expires_at": TOKEN.expires_at,
        "retires_at": ISSUED,
        "trust": TRUST.model_dump(),
    }


def test_the_same_record_is_always_the_same_text() -> None:
    elsewhere = timezone(timedelta(hours=5))
    moved = LedgerEntry(
        TOKEN.id, TOKEN.digest, TOKEN.issued_at.astimezone(elsewhere), TOKEN.expires_at.astimezone(elsewhere)
    )
    assert TokenLedger((TOKEN,), "x").to_text() == TokenLedger((moved,), "x").to_text()


@settings(max_examples=200)
@given(st.none() | st.text(max_size=50))
def test_no_text_is_an_error(text: str | None) -> None:
    assert TokenLedger.from_text(text).tokens == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(TOKEN.to_json() | {"supersededAt": ""})), json_values)
def test_no_value_in_an_entry_is_an_error_and_the_other_entries_stay(name: str, value: object) -> None:
    damaged = {**TOKEN.to_json(), name: value}
    text = json.dumps({"tokens": [damaged, TOKEN.to_json()], "rotate": value})
    assert TOKEN in TokenLedger.from_text(text).tokens


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "AB" * 32},
        {"digest": "ab " * 32},
        {"digest": "ab" * 31},
        {"id": "with space"},
        {"id": ""},
        {"id": 7},
        {"issuedAt": "2026-01-01T00:00:00"},
        {"expiresAt": "2025-01-01T00:00:00Z"},
        {"expiresAt": "2099-01-01T00:00:00Z"},
        {"expiresAt": "9999-12-31T23:59:59-01:00"},
        {"supersededAt": "yesterday"},
    ],
    ids=str,
)
def test_an_entry_that_the_api_would_refuse_or_that_nobody_issued_is_not_read(
    change: dict[str, object],
) -> None:
    assert TokenLedger.from_text(json.dumps({"tokens": [{**TOKEN.to_json(), **change}]})).tokens == ()


@pytest.mark.parametrize(
    "time", [5, "", "yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+10:00", None]
)
def test_a_damaged_time_of_the_last_rotation_counts_as_none(time: object) -> None:
    text = json.dumps({"tokens": [TOKEN.to_json()], "rotate": "x", "rotatedAt": time})
    assert TokenLedger.from_text(text) == TokenLedger((TOKEN,), "x")


def test_nesting_without_an_end_is_no_error() -> None:
    assert TokenLedger.from_text("[" * 200_000) == TokenLedger()


def test_entries_of_a_newer_operator_keep_their_known_part() -> None:
    text = json.dumps({"tokens": [{**TOKEN.to_json(), "invented": 1}], "alsoNew": []})
    assert TokenLedger.from_text(text) == TokenLedger((TOKEN,))


def test_the_text_is_the_same_for_the_same_content() -> None:
    assert TokenLedger((TOKEN,), "now").to_text() == (
        '{"rotate":"now","tokens":[{"digest":"' + "ab" * 32 + '","expiresAt":"2026-04-01T12:30:15.123456Z",'
        '"id":"0123456789abcdef","issuedAt":"2026-01-01T12:30:15.123456Z"}]}'
    )


def test_a_token_may_live_for_the_longest_lifetime_and_not_longer() -> None:
    longest = LedgerEntry(TOKEN.id, TOKEN.digest, ISSUED, ISSUED + LONGEST)
    longer = LedgerEntry(TOKEN.id, TOKEN.digest, ISSUED, ISSUED + LONGEST + timedelta(microseconds=1))
    assert TokenLedger.from_text(TokenLedger((longest, longer)).to_text()).tokens == (longest,)
