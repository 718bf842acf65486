"""What API and ledger know of tokens, put together: which are live, and since when they are superseded."""

from datetime import timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.planning.live_tokens import live_tokens
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.auth_life import identity
from support.observations import DAY, HOUR, NOW, entry, known, observed

FIRST = entry("id1", NOW - 20 * DAY)


def connection(*credentials: CredentialStatus, **more: Any) -> Connection:
    return Connection(
        namespace="team", name="entra", exists=True, revision="r", now=NOW, credentials=credentials, **more
    )


def since(held: CredentialStatus, *ledger: LedgerEntry, **spec: Any) -> object:
    token = observed(FIRST, credentials=(), **spec).token
    return live_tokens(connection(held), TokenLedger(ledger), token)["id1"].superseded_at


def test_what_either_of_them_has_is_live() -> None:
    second = entry("id2", NOW - DAY)
    assert live_tokens(connection(known(FIRST)), TokenLedger((second,)), None).keys() == {"id1", "id2"}


def test_what_has_ended_is_not() -> None:
    over = entry("id2", NOW - 90 * DAY)
    retired = known(entry("id3", NOW - DAY), retires_at=NOW)
    ledger = TokenLedger((FIRST, over, entry("id3", NOW - DAY)))
    assert live_tokens(connection(retired, revoked=("id1",)), ledger, None) == {}


def test_what_the_api_has_forgotten_with_all_that_is_as_old_is_not() -> None:
    ledger = TokenLedger((FIRST,))
    assert live_tokens(connection(revoked_before=FIRST.issued_at), ledger, None) == {}
    assert live_tokens(connection(known(FIRST), revoked_before=FIRST.issued_at), ledger, None).keys() == {
        "id1"
    }


def test_the_ledger_says_when_a_token_was_superseded() -> None:
    assert (
        since(known(FIRST, retires_at=NOW + HOUR), entry("id1", NOW - 20 * DAY, NOW - DAY), overlap="2h")
        == NOW - DAY
    )


@pytest.mark.parametrize(
    ("overlap", "before"), [("2h", timedelta(hours=2)), ("untilExpiry", None), ("untilInUse", timedelta(0))]
)
def test_without_a_ledger_a_registered_end_says_it(overlap: str, before: timedelta | None) -> None:
    """Where no length is known it says nothing; what ``untilInUse`` has ended was over at once."""
    end = NOW + HOUR
    told = since(known(FIRST, retires_at=end), overlap=overlap)
    assert told == (None if before is None else end - before)


def test_the_end_of_a_trust_of_a_former_type_was_registered_a_lifetime_ahead() -> None:
    trust = observed(FIRST, credentials=(), **identity("s1")).token
    assert trust is not None
    held = entry("id1", NOW - 20 * DAY, kind="WorkloadIdentity", trust=trust.understood_spec.auth.trust)
    told = since(known(held, retires_at=NOW + DAY), overlap="untilInUse", lifetime="30d")
    assert told == NOW - 29 * DAY
