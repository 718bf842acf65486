"""The credential cache: what it lets in for how long, and which uses it writes down."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scim_api.contract.admin import TenantSettings
from scim_api.contract.proof import PROOF_AGENT
from scim_api.contract.signing import key_id, sign_proof
from scim_api.contract.tokens import digest, new_token
from scim_api.http import authentication
from scim_api.http.authentication import FRESH_SECONDS, INSPECTOR, Authenticator, OperatorProof
from scim_api.store.change_log import Actor
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import Access, AuthGeneration, CredentialUse, Store
from support.clock import Clock

TOKEN, OTHER = new_token(), new_token()


class FakeStore:
    """A database of credentials that counts how often it is asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.held: dict[bytes, Access] = {}
        self.number = 1
        self.readings = self.looked_up = 0
        self.exact = False
        self.uses: list[CredentialUse] = []
        self.fault: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def put(self, token: str, *, ends_in: float = 1000.0) -> None:
        """Hold a credential, as of now."""
        ends_at = self.clock.now + ends_in
        self.held[digest(token)] = Access(
            token, digest(token), ends_at, 1, TenantSettings(), "h", Actor("id")
        )
        self.number += 1

    def remove(self, token: str) -> None:
        del self.held[digest(token)]
        self.number += 1

    async def generation(self) -> AuthGeneration:
        self.readings += 1
        if self.fault is not None:
            raise self.fault
        return AuthGeneration(self.number, self.clock.now)

    def generation_now(self) -> AuthGeneration | None:
        return AuthGeneration(self.number, self.clock.now) if self.exact else None

    async def access(self, wanted: bytes) -> Access | None:
        self.looked_up += 1
        found = self.held.get(wanted)
        self.meanwhile()
        return found

    async def record_use(self, uses: Sequence[CredentialUse]) -> None:
        if self.fault is not None:
            raise self.fault
        self.uses += uses


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def store(clock: Clock) -> FakeStore:
    store = FakeStore(clock)
    store.put(TOKEN)
    return store


@pytest.fixture
def credentials(store: FakeStore, clock: Clock) -> Authenticator:
    return Authenticator(cast("Store", store), clock=clock)


async def accepted(credentials: Authenticator, token: str = TOKEN) -> bool:
    access = await credentials.authenticate(token, "agent")
    assert access is None or access.credential == token
    return access is not None


async def test_an_accepted_token_is_remembered_and_a_refused_one_looked_up_again(
    credentials: Authenticator, store: FakeStore
) -> None:
    assert [await accepted(credentials) for _ in range(3)] == [True] * 3
    assert (store.readings, store.looked_up) == (1, 1)
    assert [await accepted(credentials, OTHER) for _ in range(3)] == [False] * 3
    assert (store.readings, store.looked_up) == (1, 4)


async def test_a_reading_counts_for_a_second(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    await accepted(credentials)
    clock.now += 1.0
    await accepted(credentials)
    assert store.readings == 1
    clock.now += 0.001
    await accepted(credentials)
    assert (store.readings, store.looked_up) == (2, 1)


async def test_a_revoked_token_ends_with_the_next_reading_and_at_once_where_it_was_revoked(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    await accepted(credentials)
    store.remove(TOKEN)
    assert await accepted(credentials)
    credentials.invalidate()
    assert not await accepted(credentials)


async def test_a_generation_that_is_read_at_no_cost_counts_at_once(
    credentials: Authenticator, store: FakeStore
) -> None:
    store.exact = True
    assert await accepted(credentials)
    assert await accepted(credentials)
    assert (store.readings, store.looked_up) == (0, 1)
    store.remove(TOKEN)
    assert not await accepted(credentials)


async def test_what_changes_during_a_look_up_is_not_remembered(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    def revoked_and_noticed() -> None:
        store.meanwhile = lambda: None
        store.remove(TOKEN)
        reading = AuthGeneration(store.number, clock.now)
        credentials.observe(reading, asked_at=clock.now, answered_at=clock.now)

    store.meanwhile = revoked_and_noticed
    assert await accepted(credentials)
    assert not await accepted(credentials)


async def test_a_token_ends_at_its_moment_remembered_or_not(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    store.put(OTHER, ends_in=0.5)
    assert await accepted(credentials, OTHER)
    clock.now += 0.499
    assert await accepted(credentials, OTHER)
    clock.now += 0.001
    assert not await accepted(credentials, OTHER)


async def test_a_digest_that_is_another_ones_opens_nothing(
    credentials: Authenticator, store: FakeStore
) -> None:
    store.held[digest(OTHER)] = store.held[digest(TOKEN)]
    assert not await accepted(credentials, OTHER)


async def test_without_an_answer_nobody_is_let_in_or_refused(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    await accepted(credentials)
    clock.now += 2
    store.fault = Unavailable("gone")
    with pytest.raises(Unavailable):
        await accepted(credentials)


async def test_so_many_are_remembered_at_most(
    credentials: Authenticator, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim_api.http.authentication.MAX_ENTRIES", 2)
    first, second, third = new_token(), new_token(), new_token()
    for token in (first, second, third):
        store.put(token)
    for token in (first, second, first, second):
        await accepted(credentials, token)
    assert store.looked_up == 2
    await accepted(credentials, third)
    await accepted(credentials, first)
    assert store.looked_up == 4


async def test_last_uses_are_written_once_with_the_databases_time_and_the_client(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    for client in ("first", "last"):
        await credentials.authenticate(TOKEN, client)
        clock.now += 0.25
    await credentials.authenticate(OTHER, "client")
    await credentials.write_uses()
    await credentials.write_uses()
    assert store.uses == [CredentialUse(TOKEN, datetime.fromtimestamp(100.25, UTC), "last")]


async def test_an_inspection_is_written_apart_and_a_use_stays_what_it_was(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    used = datetime.fromtimestamp(clock.now, UTC)
    await credentials.authenticate(TOKEN, "Entra", reads=True)
    clock.now += 0.25
    await credentials.authenticate(TOKEN, INSPECTOR, reads=True)
    store.fault = Unavailable("gone")
    with pytest.raises(Unavailable):
        await credentials.write_uses()
    store.fault = None
    await credentials.write_uses()
    await credentials.write_uses()
    assert store.uses == [
        CredentialUse(TOKEN, used, "Entra"),
        CredentialUse(TOKEN, datetime.fromtimestamp(100.25, UTC), is_inspection=True),
    ]


class Keys:
    """The operator's public key, as the service has it mounted."""

    installation: str | None = "installation-1"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key

    def find(self, kid: str) -> Ed25519PublicKey | None:
        public = self.key.public_key()
        return public if kid == key_id(public) else None


OPERATOR = Ed25519PrivateKey.generate()
ASKED = "/scim/v2/Users?filter=x"


def signed(credential: str = TOKEN, key: Ed25519PrivateKey = OPERATOR, asked: str = ASKED) -> OperatorProof:
    """A sign-in of the operator's with ``TOKEN``."""
    jwt = sign_proof(
        key,
        audience="installation-1",
        method="GET",
        target=asked,
        credential=digest(credential),
        now=datetime.now(UTC),
    )
    return OperatorProof(jwt, "GET", ASKED)


async def uses_after(store: FakeStore, proof: OperatorProof | None, keys: Keys | None) -> int:
    """How often a token and a client secret were used after both signed in once."""
    authenticator = Authenticator(cast("Store", store), operator_keys=keys, clock=store.clock)
    assert await authenticator.authenticate(TOKEN, PROOF_AGENT, proof) is not None
    authenticator.count_use("secret", digest(TOKEN), PROOF_AGENT, proof)
    await authenticator.write_uses()
    return len(store.uses)


async def test_the_operators_own_sign_in_is_no_use(store: FakeStore) -> None:
    assert await uses_after(store, signed(), Keys(OPERATOR)) == 0


@pytest.mark.parametrize(
    "proof",
    [
        None,
        OperatorProof("", "GET", ASKED),
        OperatorProof("x.y.z", "GET", ASKED),
        signed(OTHER),
        signed(key=Ed25519PrivateKey.generate()),
        signed(asked="/scim/v2/Users"),
    ],
    ids=["nothing", "blank", "no JWT", "another credential", "a stranger's", "another request"],
)
async def test_whoever_only_says_to_be_the_operator_uses_the_credential(
    store: FakeStore, proof: OperatorProof | None
) -> None:
    assert await uses_after(store, proof, Keys(OPERATOR)) == 2


async def test_without_the_operators_keys_each_sign_in_is_a_use(store: FakeStore) -> None:
    assert await uses_after(store, signed(), None) == 2
    store.uses.clear()
    unpublished = Keys(OPERATOR)
    unpublished.installation = None
    assert await uses_after(store, signed(), unpublished) == 2


async def test_a_refused_sign_in_is_no_use_whoever_says_so(store: FakeStore) -> None:
    authenticator = Authenticator(cast("Store", store), operator_keys=Keys(OPERATOR), clock=store.clock)
    assert await authenticator.authenticate(OTHER, None, signed(OTHER)) is None
    await authenticator.write_uses()
    assert store.uses == []


async def test_the_databases_clock_is_read_anew_when_its_reading_is_old(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    assert await credentials.fresh_now() == 100.0
    clock.now += FRESH_SECONDS
    assert await credentials.fresh_now() == 101.0
    assert store.readings == 1
    clock.now += 0.5
    assert await credentials.fresh_now() == 101.5
    assert store.readings == 2
    clock.now += FRESH_SECONDS + 0.01
    store.fault = Unavailable("gone")
    with pytest.raises(Unavailable):
        await credentials.fresh_now()


async def test_uses_that_could_not_be_written_wait_for_the_next_time_and_newer_ones_win(
    credentials: Authenticator, store: FakeStore, clock: Clock
) -> None:
    store.put(OTHER)
    for token in (TOKEN, OTHER):
        await credentials.authenticate(token, "before")
    store.fault = Unavailable("gone")
    with pytest.raises(Unavailable):
        await credentials.write_uses()
    store.fault = None
    await credentials.authenticate(TOKEN, "after")
    await credentials.write_uses()
    assert {(use.credential, use.user_agent) for use in store.uses} == {(TOKEN, "after"), (OTHER, "before")}


async def test_nothing_is_written_when_nobody_came(credentials: Authenticator, store: FakeStore) -> None:
    store.fault = Unavailable("must not be asked")
    await credentials.write_uses()


async def test_a_token_that_cannot_be_one_of_ours_is_not_looked_up(
    credentials: Authenticator, store: FakeStore
) -> None:
    assert not await accepted(credentials, "not-a-token")
    assert not await accepted(credentials, TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"))
    assert store.looked_up == 0


async def test_refused_tokens_take_no_room_from_accepted_ones(
    credentials: Authenticator, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MAX_ENTRIES", 2)
    assert await accepted(credentials)
    for _ in range(5):
        assert not await accepted(credentials, new_token())
    assert store.looked_up == 6
    assert await accepted(credentials)
    assert store.looked_up == 6
