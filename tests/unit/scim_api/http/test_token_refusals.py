"""Last refusals wait in memory for the database, bounded, and newer ones win."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

import pytest

from scim_api.contract.admin import TokenRefusal
from scim_api.http.token_refusals import TokenRefusals
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import Store


class Written:
    """A database that notes what is written, unless it is gone."""

    def __init__(self) -> None:
        self.batches: list[dict[str, TokenRefusal | None]] = []
        self.is_gone = False
        self.meanwhile: Callable[[], object] = lambda: None

    async def record_token_refusals(self, refusals: Mapping[str, TokenRefusal | None]) -> None:
        self.meanwhile()
        if self.is_gone:
            raise Unavailable("gone")
        self.batches.append(dict(refusals))


def refusal(check: str) -> TokenRefusal:
    return TokenRefusal(at=datetime(2026, 1, 1, tzinfo=UTC), check=check)


async def write(refusals: TokenRefusals, store: Written) -> None:
    await refusals.write(cast("Store", store))


async def test_the_last_one_of_each_client_is_written_once() -> None:
    refusals, store = TokenRefusals(), Written()
    for check in ("secret", "rate"):
        refusals.remember("a", refusal(check))
    refusals.remember("b", refusal("secret"))
    await write(refusals, store)
    await write(refusals, store)
    assert store.batches == [{"a": refusal("rate"), "b": refusal("secret")}]


async def test_the_first_one_of_a_client_since_the_last_writing_is_told_apart() -> None:
    refusals, store = TokenRefusals(limit=2), Written()
    assert [refusals.remember("a", refusal(check)) for check in ("secret", "rate", "secret")] == [
        True, False, False,
    ]  # fmt: skip
    assert refusals.remember("b", refusal("secret"))
    assert not refusals.remember("c", refusal("secret")), "there is no room for it"
    await write(refusals, store)
    assert refusals.remember("a", refusal("secret"))
    refusals.forget("a")
    assert refusals.remember("a", refusal("secret"))


async def test_a_token_that_was_issued_afterwards_forgets_it() -> None:
    refusals, store = TokenRefusals(), Written()
    refusals.remember("a", refusal("secret"))
    refusals.forget("a")
    refusals.forget("b")
    refusals.remember("b", refusal("secret"))
    await write(refusals, store)
    assert store.batches == [{"a": None, "b": refusal("secret")}]


async def test_what_could_not_be_written_waits_and_newer_ones_win() -> None:
    refusals, store = TokenRefusals(), Written()
    refusals.remember("a", refusal("secret"))
    refusals.remember("b", refusal("secret"))
    store.is_gone, store.meanwhile = True, lambda: refusals.remember("a", refusal("rate"))
    with pytest.raises(Unavailable):
        await write(refusals, store)
    store.is_gone, store.meanwhile = False, lambda: None
    await write(refusals, store)
    assert store.batches == [{"a": refusal("rate"), "b": refusal("secret")}]


async def test_no_more_than_so_many_are_held() -> None:
    refusals, store = TokenRefusals(limit=2), Written()
    for client in "abc":
        refusals.remember(client, refusal("secret"))
    refusals.remember("b", refusal("rate"))
    await write(refusals, store)
    assert store.batches == [{"a": refusal("secret"), "b": refusal("rate")}]
