"""What a connection keeps of tokens that have ended: a bounded number, and none ever comes back, on each database."""

import dataclasses
import random
from datetime import timedelta

import pytest

from scim_api.contract.admin import Credential, TenantSettings
from scim_api.store.errors import CredentialRevoked, DigestInUse, StoreError
from scim_api.store.protocol import Store
from scim_api.store.sql import administration, credentials
from scim_api.store.sql.credentials import KEPT_TOMBSTONES
from support.database import run_sql
from support.stored import connect, credential, digest_of

YEARS = timedelta(days=3650)
REFUSED = (CredentialRevoked, DigestInUse)


async def rows(store: Store) -> int:
    [[number]] = await run_sql(store.url, "SELECT count(*) FROM credential")
    return int(number)


async def is_accepted(store: Store, identity: str) -> bool:
    access = await store.access(digest_of(identity))
    now = (await store.connection("apps", "entra")).now
    return access is not None and access.ends_at > now.timestamp()


async def rotate(store: Store, number: int, *kept: Credential) -> list[Credential]:
    """So many tokens one after the other, each of which revokes the one before it; the tokens."""
    issued = []
    for index in range(number):
        issued.append(credential(f"c{index}", expires=YEARS))
        await connect(store, *kept, issued[-1])
    return issued


async def legacy(
    store: Store, number: int, name: str = "old", *, year: int = 2026, ends: int = 2096
) -> list[str]:
    """Tombstones as a release wrote them that kept all; their ids, the oldest first."""
    ids = [f"{name}{index}" for index in range(number)]
    values = ", ".join(
        f"('{one}', (SELECT pk FROM connection WHERE name = 'entra'), 'BearerToken', {_blob(store, one)},"
        f" '{year}-01-01T00:00:00.{index:06d}Z', '{ends}-01-01T00:00:00.000000Z', '{year}-01-02T00:00:00.000000Z')"
        for index, one in enumerate(ids)
    )
    await run_sql(
        store.url,
        "INSERT INTO credential (id, connection, kind, digest, issued_at, expires_at, revoked_at) VALUES "
        + values,
    )
    return ids


def _blob(store: Store, identity: str) -> str:
    text = digest_of(identity).hex()
    return f"x'{text}'" if store.dialect == "sqlite" else f"'\\x{text}'"


async def test_a_bounded_number_is_kept_and_told(store: Store) -> None:
    issued = await rotate(store, KEPT_TOMBSTONES + 40)

    answer = await store.connection("apps", "entra")

    assert await rows(store) == KEPT_TOMBSTONES + 1
    assert list(answer.revoked) == [item.id for item in issued[-KEPT_TOMBSTONES - 1 : -1]]
    assert answer.revoked_before == issued[-KEPT_TOMBSTONES - 2].issued_at
    assert (await store.connections(after=None, limit=5)).items[0].revoked == answer.revoked


async def test_tokens_that_were_retired_are_kept_in_bounds_too(store: Store) -> None:
    for index in range(KEPT_TOMBSTONES + 20):
        token = credential(f"c{index}", expires=YEARS)
        await connect(store, token)
        await connect(store, token.model_copy(update={"retires_at": token.issued_at}))

    await connect(store, credential("last", expires=YEARS))

    assert await rows(store) <= KEPT_TOMBSTONES + 2
    assert not any([await is_accepted(store, f"c{index}") for index in range(KEPT_TOMBSTONES + 20)])


async def test_none_of_the_removed_comes_back_by_its_connection_or_another_of_its_tenant(
    store: Store,
) -> None:
    issued = await rotate(store, KEPT_TOMBSTONES + 10)
    await connect(store, credential("sibling"), name="sibling")

    for token in issued[:-1]:
        with pytest.raises(REFUSED):
            await connect(store, token, issued[-1])
        with pytest.raises(REFUSED):
            await connect(store, credential("sibling"), token, name="sibling")
        assert not await is_accepted(store, token.id)
    assert await is_accepted(store, issued[-1].id)


async def test_nor_after_its_connection_was_deleted_and_made_again(store: Store) -> None:
    issued = await rotate(store, KEPT_TOMBSTONES + 10)
    await store.delete_connection("apps", "entra", if_match=None)

    for token in issued:
        with pytest.raises(REFUSED):
            await connect(store, token)
    await connect(store, credential("fresh"))
    assert await is_accepted(store, "fresh")


async def test_an_old_token_that_is_accepted_stays_so_below_the_mark(store: Store) -> None:
    old = credential("old", issued=timedelta(days=-400), expires=YEARS)
    issued = await rotate(store, KEPT_TOMBSTONES + 10, old)

    assert await is_accepted(store, "old")
    again = await connect(store, old, issued[-1])
    assert [item.id for item in again.credentials] == ["old", issued[-1].id]
    await connect(store, issued[-1])
    with pytest.raises(REFUSED):
        await connect(store, old, issued[-1])


async def test_thousands_that_an_earlier_release_kept_are_not_read_and_go_with_the_next_write(
    store: Store,
) -> None:
    live = credential("live", expires=YEARS)
    await connect(store, live)
    old = await legacy(store, 3_000)

    answer = await store.connection("apps", "entra")

    assert list(answer.revoked) == old[-KEPT_TOMBSTONES:]
    assert answer.revoked_before is not None
    assert answer.revoked_before.microsecond == 3_000 - KEPT_TOMBSTONES - 1
    back = credential(old[7], expires=YEARS)
    with pytest.raises(REFUSED):
        await connect(store, live, back)
    await connect(store, live, credential("next", expires=YEARS))
    assert await rows(store) == KEPT_TOMBSTONES + 2
    with pytest.raises(REFUSED):
        await connect(store, live, back.model_copy(update={"issued_at": answer.revoked_before}))


async def test_those_whose_own_time_is_over_hide_none_that_counts(store: Store) -> None:
    await connect(store, credential("live", expires=YEARS))
    old = await legacy(store, 3, year=2020)
    await legacy(store, KEPT_TOMBSTONES + 5, "expired", year=2022, ends=2023)

    assert list((await store.connection("apps", "entra")).revoked) == old


@dataclasses.dataclass
class Life:
    """A connection, a sibling of the same tenant, and what is known of every token there ever was."""

    store: Store
    chance: random.Random
    live: dict[str, Credential] = dataclasses.field(default_factory=dict)
    ended: dict[str, Credential] = dataclasses.field(default_factory=dict)
    number: int = 0

    async def issue(self) -> None:
        """A new one, and some of the others are revoked."""
        kept = {name: item for name, item in self.live.items() if self.chance.random() < 0.5}
        token = credential(f"t{self.number}", expires=YEARS)
        self.number += 1
        await connect(self.store, *kept.values(), token)
        self.ended |= {name: item for name, item in self.live.items() if name not in kept}
        self.live = {**kept, token.id: token}

    async def retire(self) -> None:
        """One of the accepted ones ends early."""
        if self.live:
            name = self.chance.choice(list(self.live))
            token = self.live.pop(name)
            retired = token.model_copy(update={"retires_at": token.issued_at})
            await connect(self.store, *self.live.values(), retired)
            self.ended[name] = token

    async def come_back(self) -> None:
        """A late write, or a restored Secret, lists one that has ended."""
        if self.ended:
            token = self.ended[self.chance.choice(list(self.ended))]
            try:
                await connect(self.store, *self.live.values(), token)
            except StoreError as error:
                assert isinstance(error, REFUSED)

    async def come_back_elsewhere(self) -> None:
        """The same with another connection of the tenant."""
        if self.ended:
            token = self.ended[self.chance.choice(list(self.ended))]
            with pytest.raises(REFUSED):
                await connect(self.store, credential("sibling"), token, name="sibling")

    async def delete(self) -> None:
        """The ScimToken goes, and another one of its name comes."""
        if self.chance.random() < 0.2:
            await self.store.delete_connection("apps", "entra", if_match=None)
            self.ended |= self.live
            self.live = {}


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_no_ended_token_is_accepted_again_and_none_in_its_time_refused(
    store: Store, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (credentials, administration):
        monkeypatch.setattr(module, "KEPT_TOMBSTONES", 3)
    life = Life(store, random.Random(seed))
    await connect(store, credential("sibling"), name="sibling", settings=TenantSettings())
    for _ in range(40):
        await life.chance.choice(
            (life.issue, life.issue, life.retire, life.come_back, life.come_back_elsewhere, life.delete)
        )()
        accepted = {
            name for name in (*life.live, *life.ended) if await is_accepted(store, name)
        }  # fmt: skip
        assert accepted == life.live.keys()
    assert await rows(store) <= 3 + 2 * len(life.live) + 4


async def test_what_is_read_of_a_connection_walks_indexes(store: Store) -> None:
    from api.store.sql.test_query_plans import plan

    await connect(store, credential())
    for sql, parameters, index in (
        (administration._UNREVOKED, (1,), "credential_listed"),
        (administration._NEWEST_REVOKED, (1, "2026-01-01", 5), "credential_tombstone"),
        ("SELECT max(revoked_before) FROM connection WHERE tenant = ?", (1,), "connection_tenant"),
    ):
        assert index in await plan(store, sql, parameters)
