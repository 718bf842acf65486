"""Sign-in at Microsoft's login: three ways, each token kept for its time, and one fetch at a time."""

import asyncio
import dataclasses
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest

from scim_operator.adapters import entra_login
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import (
    Application,
    CertificateIdentity,
    ClientSecretIdentity,
    EntraError,
    Identity,
    Obstacle,
    ServiceAccountIdentity,
)
from scim_operator.planning.ports import KubernetesUnreachable
from support.microsoft import (
    ACCOUNT,
    APPLICATION,
    CLIENT,
    NOW,
    SECRET,
    TENANT,
    Microsoft,
    application,
    certificate_identity,
    rsa_key,
    sign_in_error,
)

URL = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
WAYS = pytest.mark.parametrize(
    "identity", [ACCOUNT, SECRET, certificate_identity()], ids=["account", "secret", "cert"]
)


class World:
    """A login with clock, Microsoft's side and Kubernetes in the test's hands."""

    def __init__(self) -> None:
        self.microsoft, self.now = Microsoft(), 1000.0
        self.asked_for: list[tuple[str, str, str]] = []
        self.problem: Exception | None = None
        self.pace = EntraPace(1000, clock=lambda: self.now)
        self.login = EntraLogin(
            self.microsoft.client(),
            self.account_token,
            Clouds(),
            self.pace,
            clock=lambda: self.now,
            now=lambda: NOW,
        )

    async def account_token(self, namespace: str, name: str, audience: str) -> str:
        self.asked_for.append((namespace, name, audience))
        if self.problem is not None:
            raise self.problem
        return f"token-{len(self.asked_for)}"

    async def token(self, identity: Identity = SECRET, of: Any = APPLICATION) -> str:
        return (await self.login.access_token(of, identity)).value

    def form(self, index: int = -1) -> dict[str, str]:
        content = self.microsoft.requests[index].content.decode()
        return {name: values[0] for name, values in parse_qs(content, strict_parsing=True).items()}


def later(status: int, content: Any) -> Any:
    """An answer that others may overtake."""

    async def handle(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return httpx.Response(status, json=content)

    return handle


@pytest.fixture
def world() -> World:
    return World()


async def refused(world: World, identity: Identity = SECRET) -> EntraError:
    with pytest.raises(EntraError) as told:
        await world.token(identity)
    return told.value


async def test_a_client_secret_is_sent_as_a_form(world: World) -> None:
    await world.token()
    assert str(world.microsoft.requests[0].url) == URL
    assert world.form() == {
        "client_id": CLIENT,
        "scope": "https://graph.microsoft.com/.default",
        "grant_type": "client_credentials",
        "client_secret": SECRET.secret,
    }


async def test_a_service_accounts_token_for_the_clouds_audience_is_the_assertion(world: World) -> None:
    await world.token(ACCOUNT)
    assert world.asked_for == [("team", "entra-hand-over", "api://AzureADTokenExchange")]
    assert (world.form()["client_assertion_type"], world.form()["client_assertion"]) == (
        JWT_BEARER,
        "token-1",
    )
    await world.token(ACCOUNT, application(GraphCloud.CHINA))
    assert world.asked_for[1][2] == "api://AzureADTokenExchangeChina"
    assert world.microsoft.requests[1].url.host == "login.chinacloudapi.cn"
    assert world.form()["scope"] == "https://microsoftgraph.chinacloudapi.cn/.default"


async def test_a_certificate_signs_an_assertion_anew_each_time(world: World) -> None:
    for _ in range(2):
        world.login.invalidate(
            APPLICATION,
            identity := certificate_identity(),
            await world.login.access_token(APPLICATION, identity),
        )
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    seen = [
        jwt.decode(
            world.form(index)["client_assertion"],
            rsa_key().public_key(),
            algorithms=["PS256"],
            audience=URL,
            options=options,
        )
        for index in (0, 1)
    ]
    assert seen[0]["iss"] == seen[0]["sub"] == CLIENT
    assert seen[0]["jti"] != seen[1]["jti"]


@WAYS
async def test_a_token_is_kept_for_four_fifths_of_its_life(world: World, identity: Identity) -> None:
    assert await world.token(identity) == "access-1"
    world.now += 2879
    assert await world.token(identity) == "access-1"
    world.now += 1
    assert await world.token(identity) == "access-2"


@pytest.mark.parametrize("life", [None, "x", -5, "nan", [], True, 0])
async def test_a_token_whose_life_is_not_told_is_used_once(world: World, life: Any) -> None:
    world.microsoft.login = lambda _request: httpx.Response(
        200, json={"access_token": "a", "expires_in": life}
    )
    for _ in range(2):
        assert not (await world.login.access_token(APPLICATION, SECRET)).cached
        world.now += 1


async def test_a_life_may_be_a_string_and_is_a_day_at_most(world: World) -> None:
    world.microsoft.login = lambda _request: httpx.Response(
        200, json={"access_token": "a", "expires_in": "1e300"}
    )
    await world.token()
    world.now += 86_400 * 0.8 - 1
    assert (await world.login.access_token(APPLICATION, SECRET)).cached
    world.now += 1
    assert not (await world.login.access_token(APPLICATION, SECRET)).cached


async def test_tenants_clouds_and_identities_have_tokens_of_their_own(world: World) -> None:
    identity = certificate_identity()
    asked: list[tuple[Application, Identity]] = [
        (APPLICATION, SECRET),
        (dataclasses.replace(APPLICATION, tenant_id="0" * 32), SECRET),
        (application(GraphCloud.US_GOVERNMENT), SECRET),
        (APPLICATION, dataclasses.replace(SECRET, secret="another-secret")),
        (APPLICATION, dataclasses.replace(SECRET, client_id="another")),
        (APPLICATION, ACCOUNT),
        (APPLICATION, ServiceAccountIdentity(CLIENT, "another", ACCOUNT.name)),
        (APPLICATION, identity),
        (APPLICATION, CertificateIdentity(CLIENT, f"{identity.certificate}\n", identity.private_key)),
    ]
    tokens = [await world.token(who, of) for of, who in asked]
    assert len(set(tokens)) == len(asked)
    assert [await world.token(who, of) for of, who in asked] == tokens


async def test_applications_of_a_tenant_share_a_token(world: World) -> None:
    await world.token()
    await world.token(of=dataclasses.replace(APPLICATION, service_principal_id="another"))
    assert world.microsoft.issued == 1


async def test_many_who_ask_at_once_wait_for_one_fetch(world: World) -> None:
    world.microsoft.login = later(200, {"access_token": "access-1", "expires_in": 3600})
    tokens = await asyncio.gather(*(world.token(ACCOUNT) for _ in range(50)))
    assert set(tokens) == {"access-1"}
    assert (len(world.microsoft.requests), len(world.asked_for)) == (1, 1)


async def test_a_fetch_that_fails_fails_for_all_who_waited_and_for_nobody_later(world: World) -> None:
    world.microsoft.login = later(401, sign_in_error(7000215))
    failures = await asyncio.gather(*(world.token() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(failure, EntraError) for failure in failures)
    assert len(world.microsoft.requests) == 1
    world.microsoft.login = world.microsoft.issue
    assert await world.token() == "access-1"


async def test_a_fetch_that_is_cancelled_leaves_the_next_its_turn(world: World) -> None:
    gate = asyncio.Event()

    async def slow(_namespace: str, _name: str, _audience: str) -> str:
        await gate.wait()
        return "token"

    login = EntraLogin(world.microsoft.client(), slow, Clouds(), world.pace, clock=lambda: world.now)
    first, second = (asyncio.create_task(login.access_token(APPLICATION, ACCOUNT)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert (await second).value == "access-1"
    assert first.cancelled()


async def test_an_invalidated_token_is_fetched_anew_unless_it_was_already(world: World) -> None:
    first = await world.login.access_token(APPLICATION, SECRET)
    world.login.invalidate(APPLICATION, SECRET, first)
    second = await world.login.access_token(APPLICATION, SECRET)
    assert (first.value, second.value, second.cached) == ("access-1", "access-2", False)
    world.login.invalidate(APPLICATION, SECRET, first)
    assert await world.token() == "access-2"
    world.login.invalidate(APPLICATION, ACCOUNT, second)


async def test_no_more_tokens_are_kept_than_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entra_login, "MOST_TOKENS", 3)
    for number in range(10):
        await world.token(ClientSecretIdentity(CLIENT, f"secret-{number}"))
    assert len(world.login._entries) == 3
    assert await world.token(ClientSecretIdentity(CLIENT, "secret-9")) == "access-10"


async def test_a_refusal_is_told_in_words_without_the_secret(world: World) -> None:
    body = sign_in_error(7000215, f"Invalid client secret {SECRET.secret} provided.")
    world.microsoft.login = lambda _request: httpx.Response(401, json=body)
    error = await refused(world)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "its Value, not its Secret ID" in error.message
    assert SECRET.secret not in error.message


async def test_an_assertion_that_comes_back_is_not_repeated(world: World) -> None:
    body = sign_in_error(700213, "The assertion token-1 is for nobody.")
    world.microsoft.login = lambda _request: httpx.Response(401, json=body)
    monkey = "token-1-with-enough-characters"

    async def account_token(_namespace: str, _name: str, _audience: str) -> str:
        return monkey

    body["error_description"] = f"AADSTS700213: The assertion {monkey} is for nobody."
    world.login._service_account_token = account_token
    assert monkey not in (await refused(world, ACCOUNT)).message


async def test_a_429_pauses_the_tenant(world: World) -> None:
    world.microsoft.login = lambda _request: httpx.Response(429, headers={"retry-after": "60"})
    assert (await refused(world)).obstacle is Obstacle.UNREACHABLE
    assert "429" in (await refused(world)).message
    assert len(world.microsoft.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token": 5}',
        b'{"access_token": "a b"}',
        b'{"access_token": "\\n"}',
    ],
)
async def test_what_is_no_token_is_told(world: World, body: bytes) -> None:
    world.microsoft.login = lambda _request: httpx.Response(200, content=body)
    error = await refused(world)
    assert error.obstacle is Obstacle.UNREACHABLE
    assert "SCIM_OPERATOR_ENTRA_LOGIN_URL" in error.message


async def test_what_kubernetes_says_goes_through(world: World) -> None:
    world.problem = KubernetesUnreachable("later")
    with pytest.raises(KubernetesUnreachable):
        await world.token(ACCOUNT)
    world.problem = EntraError(Obstacle.IDENTITY_NOT_READABLE, "no Role")
    assert (await refused(world, ACCOUNT)).obstacle is Obstacle.IDENTITY_NOT_READABLE
    assert world.microsoft.requests == []


async def test_a_broken_certificate_is_told_before_anybody_is_asked(world: World) -> None:
    error = await refused(world, CertificateIdentity(CLIENT, "x", "y"))
    assert error.obstacle is Obstacle.IDENTITY_NOT_READABLE
    assert world.microsoft.requests == []


def test_no_key_of_the_cache_has_a_secret_in_it() -> None:
    identity = certificate_identity()
    assert SECRET.secret not in repr(entra_login._key(APPLICATION, SECRET))
    assert "PRIVATE" not in repr(entra_login._key(APPLICATION, identity))
    assert "access-1" not in repr(entra_login.AccessToken("access-1", cached=True))
