"""A ledger that somebody has edited counts as lost; one that the operator wrote is read as it was."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.api.custom_object import Key
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger

OWNER = Key("team", "entra")
SIGNER = LedgerSigner(b"a key of thirty-two bytes, or so")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER = TokenLedger((LedgerEntry("a1", "0" * 64, NOW, NOW + timedelta(days=90)),), "please")

times = st.integers(0, 10**10).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
entries = st.builds(
    lambda name, digest, issued, seconds: LedgerEntry(name, digest, issued, issued + timedelta(seconds=seconds)),
    st.text("abc019-_.", min_size=1, max_size=8),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    times,
    st.integers(1, 3_650 * 86_400),
)  # fmt: skip
ledgers = st.builds(TokenLedger, st.lists(entries, max_size=4).map(tuple), st.none() | st.text(max_size=5))


@given(ledgers)
def test_what_was_written_is_read(ledger: TokenLedger) -> None:
    assert SIGNER.from_text(OWNER, SIGNER.to_text(OWNER, ledger)) == ledger


def test_the_same_ledger_is_written_alike_and_other_white_space_means_nothing() -> None:
    text = SIGNER.to_text(OWNER, LEDGER)
    assert text == SIGNER.to_text(OWNER, LEDGER)
    assert SIGNER.from_text(OWNER, json.dumps(json.loads(text), indent=2)) == LEDGER


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    content: dict[str, Any] = json.loads(SIGNER.to_text(OWNER, LEDGER))
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    "text",
    [
        edited(lambda content: content["tokens"].append({**content["tokens"][0], "id": "b2", "digest": "f" * 64})),
        edited(lambda content: content["tokens"][0].update(expiresAt="2036-01-01T00:00:00Z")),
        edited(lambda content: content["tokens"][0].update(digest="f" * 64)),
        edited(lambda content: content["tokens"].clear()),
        edited(lambda content: content.update(rotate="other")),
        edited(lambda content: content.update(more=1)),
        edited(lambda content: content.pop("hmac")),
        edited(lambda content: content.update(hmac="")),
        edited(lambda content: content.update(hmac=None)),
        edited(lambda content: content.update(hmac="é" * 64)),
        LEDGER.to_text(),
        LedgerSigner(b"another key of thirty-two bytes.").to_text(OWNER, LEDGER),
        SIGNER.to_text(Key("team", "other"), LEDGER),
        SIGNER.to_text(Key("other", "entra"), LEDGER),
        "[]", "{", "", "null", "1", '"text"', "[" * 200_000,
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_what_is_edited_copied_or_not_signed_by_this_key_counts_as_lost(text: str) -> None:
    assert SIGNER.from_text(OWNER, text) == TokenLedger()


def test_without_an_annotation_there_is_no_ledger() -> None:
    assert SIGNER.from_text(OWNER, None) == TokenLedger()


def test_the_key_shows_nowhere() -> None:
    assert "thirty-two" not in repr(SIGNER)
