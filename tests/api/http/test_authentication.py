"""Who gets in, who does not, and that a refusal tells nothing."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from api.conftest import BASE, Scim
from scim_api.contract.proof import PROOF_AGENT, PROOF_HEADER
from scim_api.contract.tokens import new_token
from scim_api.http.authentication import FRESH_SECONDS, Authenticator
from scim_api.store.change_log import Actor
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import Access, AuthGeneration

ASK = f'{BASE}/Users?filter=userName eq "nobody"'


async def test_the_present_token_is_accepted(scim: Scim, entra: dict[str, str]) -> None:
    answer = await scim.client.get(ASK, headers=entra)
    assert answer.status_code == 200
    assert answer.json()["totalResults"] == 0


async def test_every_refusal_has_the_same_status_headers_and_body(scim: Scim, entra: dict[str, str]) -> None:
    revoked = await scim.connect("revoked", tenant="other")
    assert (await scim.client.get(ASK, headers=revoked)).status_code == 200
    present = await scim.service.store.connection("demo", "revoked")
    await scim.service.store.delete_connection("demo", "revoked", if_match=present.revision)
    scim.service.authenticator.invalidate()
    expired = await scim.connect("short", tenant="third", lifetime=timedelta(milliseconds=150))
    deadline = time.monotonic() + 10
    while (await scim.client.get(ASK, headers=expired)).status_code == 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    token = entra["authorization"]
    refused = [
        await scim.client.get(ASK, headers=headers)
        for headers in (
            {},
            {"authorization": ""},
            {"authorization": "Basic abc"},
            {"authorization": "Bearer"},
            {"authorization": "Bearer x"},
            {"authorization": f"Bearer {new_token()}"},
            {"authorization": f"Bearer {new_token().swapcase()}"},
            {"authorization": mistyped(token)},
            revoked,
            expired,
        )
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1
    assert len({tuple(answer.headers.items()) for answer in refused}) == 1
    assert refused[0].headers["www-authenticate"].startswith("Bearer")
    assert refused[0].headers["content-type"] == "application/scim+json"
    assert refused[0].json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


class CountingStore:
    """A store that only counts what a refusal asks of it; its clock stands still."""

    def __init__(self) -> None:
        self.number, self.now, self.down = 1, 1000.0, False
        self.accesses: dict[bytes, Access] = {}
        self.asked = 0

    async def generation(self) -> AuthGeneration:
        if self.down:
            raise Unavailable("down")
        return AuthGeneration(self.number, self.now)

    def generation_now(self) -> AuthGeneration | None:
        return None

    async def access(self, digest: bytes) -> Access | None:
        if self.down:
            raise Unavailable("down")
        self.asked += 1
        return self.accesses.get(digest)


def access(token: str, ends_at: float) -> Access:
    from scim_api.contract.admin import TenantSettings
    from scim_api.contract.tokens import digest

    return Access("id", digest(token), ends_at, 1, TenantSettings(), "hash", Actor("id"))


def mistyped(token: str) -> str:
    return token[:-1] + ("a" if token[-1] != "a" else "b")


@pytest.fixture
def clock() -> list[float]:
    return [50.0]


@pytest.fixture
def counting() -> CountingStore:
    return CountingStore()


@pytest.fixture
def cache(counting: CountingStore, clock: list[float]) -> Authenticator:
    return Authenticator(counting, clock=lambda: clock[0])  # type: ignore[arg-type]


async def test_a_malformed_token_costs_no_look_up_and_any_other_refusal_exactly_one(
    cache: Authenticator, counting: CountingStore
) -> None:
    good, expired = new_token(), new_token()
    for token, ends_at in ((good, 2000.0), (expired, 1001.0)):
        item = access(token, ends_at)
        counting.accesses[item.digest] = item
    assert await cache.authenticate(good, None)
    assert await cache.authenticate(expired, None)
    counting.now = 1002.0
    await cache.refresh()
    costs = []
    for token in ("", "malformed", mistyped(good), good + "x", new_token(), expired):
        before = counting.asked
        assert await cache.authenticate(token, None) is None
        costs.append(counting.asked - before)
    assert costs == [0, 0, 0, 0, 1, 1]


async def test_an_accepted_token_is_cached_within_a_fresh_generation(
    cache: Authenticator, counting: CountingStore, clock: list[float]
) -> None:
    token = new_token()
    item = access(token, 2000.0)
    counting.accesses[item.digest] = item
    for _ in range(10):
        assert await cache.authenticate(token, None)
        clock[0] += 0.01
    assert counting.asked == 1


async def test_a_revocation_elsewhere_holds_as_soon_as_the_generation_is_read(
    cache: Authenticator, counting: CountingStore
) -> None:
    token = new_token()
    item = access(token, 2000.0)
    counting.accesses[item.digest] = item
    assert await cache.authenticate(token, None)
    counting.accesses.clear()
    counting.number += 1
    await cache.refresh()
    assert await cache.authenticate(token, None) is None


async def test_past_a_second_without_a_reading_the_database_is_asked(
    cache: Authenticator, counting: CountingStore, clock: list[float]
) -> None:
    token = new_token()
    item = access(token, 2000.0)
    counting.accesses[item.digest] = item
    assert await cache.authenticate(token, None)
    counting.accesses.clear()
    counting.number += 1
    clock[0] += FRESH_SECONDS + 0.01
    assert await cache.authenticate(token, None) is None


async def test_a_database_that_is_gone_is_unavailable_and_never_a_refusal(
    cache: Authenticator, counting: CountingStore, clock: list[float]
) -> None:
    token = new_token()
    item = access(token, 2000.0)
    counting.accesses[item.digest] = item
    assert await cache.authenticate(token, None)
    counting.down = True
    assert await cache.authenticate(token, None), "cached within the second"
    for asked in (token, "", new_token()):
        clock[0] += FRESH_SECONDS + 0.01
        with pytest.raises(Unavailable):
            await cache.authenticate(asked, None)


async def test_a_token_ends_at_its_expiry_by_the_databases_clock(
    cache: Authenticator, counting: CountingStore, clock: list[float]
) -> None:
    token = new_token()
    item = access(token, 1000.5)
    counting.accesses[item.digest] = item
    assert await cache.authenticate(token, None)
    clock[0] += 0.49
    assert await cache.authenticate(token, None)
    clock[0] += 0.02
    assert await cache.authenticate(token, None) is None


async def test_last_use_is_written_in_batches(scim: Scim, entra: dict[str, str]) -> None:
    for _ in range(5):
        await scim.client.get(ASK, headers={**entra, "user-agent": "Azure-AD-SCIM/1.0 (secret stuff)"})
    await scim.service.authenticator.write_uses()
    held: Any = (await scim.service.store.connection("demo", "entra")).credentials[0]
    assert held.last_used_at is not None
    assert held.user_agent == "Azure-AD-SCIM"


async def test_rate_limiting_answers_429_with_retry_after_and_never_401(scim: Scim) -> None:
    headers = await scim.connect("slow", tenant="slow", rateLimit={"requestsPerSecond": 25, "burst": 25})
    answers = [await scim.client.get(ASK, headers=headers) for _ in range(60)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:25] == [200] * 25
    assert set(statuses) == {200, 429}
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert int(limited.headers["retry-after"]) >= 1


async def last_use(scim: Scim) -> Any:
    await scim.service.authenticator.write_uses()
    return (await scim.service.store.connection("demo", "entra")).credentials[0].last_used_at


async def test_the_operators_own_sign_in_is_told_apart_by_its_signature(
    scim: Scim, entra: dict[str, str]
) -> None:
    headers = {**entra, "user-agent": PROOF_AGENT}
    request = scim.client.build_request("GET", ASK, headers=headers)
    request.headers[PROOF_HEADER] = scim.proof(request, entra["authorization"].partition(" ")[2])
    assert (await scim.client.send(request)).status_code == 200
    assert await last_use(scim) is None
    await scim.client.get(f"{BASE}/Groups", headers={**headers, PROOF_HEADER: request.headers[PROOF_HEADER]})
    assert await last_use(scim) is not None, "it was signed for another request"


LOOKING = {"user-agent": "kubectl-scim/0.1.0 (linux)"}
SEARCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
BULK = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": []}
PERSON = {"userName": "ada", "emails": [{"type": "work", "value": "ada@contoso.com"}]}


async def seen(scim: Scim, name: str = "entra") -> tuple[bool, bool, str | None]:
    """Whether the credential of a connection was used, and inspected; and by which client it was used."""
    await scim.service.authenticator.write_uses()
    [held] = (await scim.service.store.connection("demo", name)).credentials
    return held.last_used_at is not None, held.last_inspected_at is not None, held.user_agent


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", ASK, None), ("HEAD", ASK, None), ("GET", f"{BASE}/Users/nobody", None), ("GET", f"{BASE}/Schemas", None),
        ("POST", f"{BASE}/.search", SEARCH), ("POST", f"{BASE}/Users/.search", SEARCH),
        ("GET", "https://scim.test/changes/v1", None), ("GET", "https://scim.test/changes/v1/history", None),
    ],
    ids=["filter", "head", "one that is missing", "discovery", "search", "search of users", "feed", "history"],
)  # fmt: skip
async def test_what_a_person_looks_at_is_an_inspection_and_no_use(
    scim: Scim, entra: dict[str, str], method: str, path: str, body: Any
) -> None:
    assert (await scim.client.request(method, path, json=body, headers={**entra, **LOOKING})).status_code in {
        200,
        404,
    }
    assert await seen(scim) == (False, True, None)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{BASE}/Users", PERSON), ("PUT", f"{BASE}/Users/nobody", PERSON), ("DELETE", f"{BASE}/Users/nobody", None),
        ("PATCH", f"{BASE}/Users/nobody", {}), ("POST", f"{BASE}/Bulk", BULK), ("PURGE", ASK, None),
    ],
    ids=["post", "put", "delete", "patch", "bulk", "unknown"],
)  # fmt: skip
async def test_whatever_may_change_something_is_a_use_whoever_it_says_to_be(
    scim: Scim, entra: dict[str, str], method: str, path: str, body: Any
) -> None:
    assert (
        await scim.client.request(method, path, json=body, headers={**entra, **LOOKING})
    ).status_code != 401
    assert await seen(scim) == (True, False, "kubectl-scim")


@pytest.mark.parametrize(
    "agent", ["kubectl-scimmer/1", "x kubectl-scim/1", "KUBECTL-SCIM/1", "(kubectl-scim)", ""]
)
async def test_a_client_of_a_similar_name_uses_what_it_reads_with(
    scim: Scim, entra: dict[str, str], agent: str
) -> None:
    await scim.client.get(ASK, headers={**entra, "user-agent": agent})
    assert (await seen(scim))[:2] == (True, False)


async def test_its_user_agent_alone_is_no_proof(scim: Scim, entra: dict[str, str]) -> None:
    await scim.client.get(ASK, headers={**entra, "user-agent": PROOF_AGENT})
    assert await last_use(scim) is not None
