"""What a token is worth, what ends it, what is noted of a refusal, on each database."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.conftest import BASE, Scim
from scim_api.contract.admin import (
    CredentialStatus,
    OAuthClient,
    PutConnection,
    TokenRefusal,
    WorkloadIdentityTrust,
)
from scim_api.contract.oauth import ASSERTION_TYPE
from scim_api.contract.signing import PROOF_AGENT, PROOF_HEADER
from scim_api.contract.tokens import new_token
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.oauth import token_endpoint, token_issuer
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.token_rate import BURST
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import ClientCredential, TokenClient
from support.stored import credential
from support.token_requests import (
    FORM,
    GRANT,
    URL,
    SecretClient,
    ask,
    basic,
    bearer,
    put_secrets,
    register,
    secret_credential,
)

ASK = f'{BASE}/Users?filter=userName eq "nobody"'
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def client(scim: Scim) -> SecretClient:
    return await register(scim.service.store)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_endpoint, "REFUSAL_DELAY_SECONDS", 0.0)


async def status(scim: Scim, headers: dict[str, str]) -> int:
    return (await scim.client.get(ASK, headers=headers)).status_code


async def until(what: Callable[[], Any], wanted: object, seconds: float = 10.0) -> None:
    """Poll until a coroutine function gives what is wanted."""
    deadline = time.monotonic() + seconds
    while (last := await what()) != wanted:
        assert time.monotonic() < deadline, last
        await asyncio.sleep(0.02)


async def listed(scim: Scim) -> dict[str, CredentialStatus]:
    connection = await scim.service.store.connection("demo", "entra")
    return {item.id: item for item in connection.credentials}


# -- what a token opens -----------------------------------------------------------------------------


async def test_a_token_opens_its_clients_tenant_and_no_other(
    scim: Scim, client: SecretClient, person: Callable[..., dict[str, Any]]
) -> None:
    other = await register(scim.service.store, name="other", tenant="other")
    ours = bearer(await ask(scim.client, client.form()))
    theirs = bearer(await ask(scim.client, other.form()))
    made = await scim.client.post(f"{BASE}/Users", headers=ours, json=person())
    assert made.status_code == 201
    place = f"{BASE}/Users/{made.json()['id']}"
    assert (await scim.client.get(place, headers=ours)).status_code == 200
    assert (await scim.client.get(place, headers=theirs)).status_code == 404
    assert (await scim.client.delete(place, headers=theirs)).status_code == 404


async def test_a_token_is_accepted_by_another_process_at_once(scim: Scim, client: SecretClient) -> None:
    store = scim.service.store
    service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(public_app(service))) as replica:
        token = bearer(await ask(scim.client, client.form()))
        assert (await replica.get(ASK, headers=token)).status_code == 200


async def test_a_client_secret_as_bearer_token_is_refused_without_a_look_up(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def access(_digest: bytes) -> Any:
        pytest.fail("it was looked up")

    monkeypatch.setattr(scim.service.store, "access", access)
    assert await status(scim, {"authorization": f"Bearer {client.secret}"}) == 401


async def test_a_revoked_secret_ends_its_tokens_within_a_second_everywhere(
    scim: Scim, client: SecretClient
) -> None:
    token = bearer(await ask(scim.client, client.form()))
    assert await status(scim, token) == 200
    await put_secrets(scim.service.store, client_id=client.client_id)
    await until(lambda: status(scim, token), 401, seconds=1.5)
    assert (await ask(scim.client, client.form())).status_code == 401


async def test_a_deleted_connection_ends_its_tokens_within_a_second_everywhere(
    scim: Scim, client: SecretClient
) -> None:
    token = bearer(await ask(scim.client, client.form()))
    assert await status(scim, token) == 200
    await scim.service.store.delete_connection("demo", "entra", if_match=None)
    await until(lambda: status(scim, token), 401, seconds=1.5)
    assert (await ask(scim.client, client.form())).status_code == 401


async def test_a_secret_that_ended_leaves_its_tokens_to_their_own_end(scim: Scim) -> None:
    client = await register(scim.service.store, lifetime=SECOND)
    token = bearer(await ask(scim.client, client.form()))

    async def asked() -> int:
        return (await ask(scim.client, client.form())).status_code

    await until(asked, 401)
    assert await status(scim, token) == 200
    scim.service.authenticator.invalidate()
    assert await status(scim, token) == 200


async def test_each_of_several_secrets_is_taken_until_its_end(scim: Scim) -> None:
    store = scim.service.store
    present = await store.connection("demo", "entra")
    secrets = [new_token("ClientSecret") for _ in range(3)]
    old, new = (secret_credential(secret, present, retires=DAY) for secret in secrets[:2])
    await put_secrets(
        store, old, new, secret_credential(secrets[2], present, retires=-SECOND), client_id="an-id"
    )

    async def asked() -> list[int]:
        forms = [{**GRANT, "client_id": "an-id", "client_secret": secret} for secret in secrets]
        return [(await ask(scim.client, form)).status_code for form in forms]

    assert await asked() == [200, 200, 401]
    retired = old.model_copy(update={"retires_at": present.now})
    await put_secrets(store, retired, new, client_id="an-id")
    assert await asked() == [401, 200, 401]


async def test_a_secret_that_is_revoked_while_it_signs_in_gets_nothing(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scim.service.store
    read = store.token_client

    async def revoked_after(client_id: str) -> TokenClient | None:
        found = await read(client_id)
        await put_secrets(store, client_id=client_id)
        return found

    monkeypatch.setattr(store, "token_client", revoked_after)
    answer = await ask(scim.client, client.form())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert scim.service.authenticator._uses == {}


async def test_the_databases_clock_decides_and_its_reading_is_fresh(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0
    refresh = Authenticator.refresh

    async def counted(self: Authenticator) -> None:
        nonlocal readings
        readings += 1
        await refresh(self)

    monkeypatch.setattr(Authenticator, "refresh", counted)
    is_fresh = Authenticator._is_fresh
    monkeypatch.setattr(Authenticator, "_is_fresh", lambda _: False)
    assert (await ask(scim.client, client.form())).status_code == 200
    assert readings == 1
    monkeypatch.setattr(Authenticator, "_is_fresh", is_fresh)
    assert (await ask(scim.client, client.form())).status_code == 200
    assert readings == 1
    monkeypatch.setattr(Authenticator, "now", lambda _: time.time() + (91 * DAY).total_seconds())
    assert (await ask(scim.client, client.form())).status_code == 401


# -- uses -------------------------------------------------------------------------------------------


async def last_uses(scim: Scim) -> dict[str, str | None]:
    """The user agent of each credential that was used."""
    await scim.service.authenticator.write_uses()
    return {name: item.user_agent for name, item in (await listed(scim)).items() if item.last_used_at}


async def test_a_secret_that_got_a_token_was_used_and_one_that_was_refused_was_not(
    scim: Scim, client: SecretClient
) -> None:
    await ask(scim.client, client.form(client_secret=new_token("ClientSecret")))
    assert await last_uses(scim) == {}
    await ask(scim.client, client.form(), {"user-agent": "Azure-AD-SCIM/1.0 (more)"})
    assert await last_uses(scim) == {client.credential: "Azure-AD-SCIM"}


async def test_a_use_of_a_token_is_one_of_its_secret(scim: Scim, client: SecretClient) -> None:
    token = bearer(await ask(scim.client, client.form(), {"user-agent": "first"}))
    await scim.client.get(ASK, headers={**token, "user-agent": "second"})
    assert await last_uses(scim) == {client.credential: "second"}


async def test_the_operators_own_proof_of_a_secret_and_its_token_is_no_use(
    scim: Scim, client: SecretClient
) -> None:
    headers = {"content-type": FORM, "user-agent": PROOF_AGENT}
    request = scim.client.build_request("POST", URL, data=client.form(), headers=headers)
    request.headers[PROOF_HEADER] = scim.proof(request, client.secret)
    token = bearer(await scim.client.send(request))
    request = scim.client.build_request("GET", ASK, headers=token)
    request.headers[PROOF_HEADER] = scim.proof(request, token["authorization"].partition(" ")[2])
    assert (await scim.client.send(request)).status_code == 200
    assert await last_uses(scim) == {}
    wrong = {**headers, PROOF_HEADER: request.headers[PROOF_HEADER]}
    await ask(scim.client, client.form(), wrong)
    assert await last_uses(scim) == {client.credential: PROOF_AGENT}


# -- refusals ---------------------------------------------------------------------------------------


async def last_refusal(scim: Scim) -> TokenRefusal | None:
    await scim.service.token_refusals.write(scim.service.store)
    return (await scim.service.store.connection("demo", "entra")).last_refusal


def counted(scim: Scim) -> dict[str, float]:
    """Token requests by result."""
    [metric] = scim.service.metrics.token_requests.collect()
    return {
        sample.labels["result"]: sample.value for sample in metric.samples if sample.name.endswith("_total")
    }


async def test_the_last_refusal_of_a_client_is_kept_until_a_token_is_issued(
    scim: Scim, client: SecretClient
) -> None:
    wrong = new_token("ClientSecret")
    before = (await scim.service.store.connection("demo", "entra")).now
    await ask(scim.client, client.form(client_secret=wrong))
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert refusal.check == "secret"
    assert refusal.expected == "one of the 1 client secrets accepted now"
    assert refusal.received == "one that was never issued"
    assert abs(refusal.at - before) < timedelta(seconds=30)
    await ask(scim.client, client.form())
    assert await last_refusal(scim) is None


@pytest.mark.parametrize(
    ("form", "check"),
    [
        ({"scope": '"'}, "scope"),
        ({"grant_type": "password"}, "grant_type"),
        ({"client_secret": None}, "credentials"),
        ({"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE}, "credentials"),
    ],
)
async def test_a_malformed_request_in_a_clients_name_is_shown_to_its_people_too(
    scim: Scim, client: SecretClient, form: dict[str, str | None], check: str
) -> None:
    await ask(scim.client, client.form(**form))
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert refusal.check == check


async def test_a_client_over_its_rate_is_shown_why(scim: Scim, client: SecretClient) -> None:
    for _ in range(BURST + 1):
        await ask(scim.client, client.form())
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert refusal.check == "rate"


async def test_an_unknown_client_costs_no_memory(scim: Scim, client: SecretClient) -> None:
    for number in range(50):
        await ask(scim.client, client.form(client_id=f"nobody-{number}"))
        await ask(scim.client, client.form(client_id=f"nobody-{number}", scope='"'))
    assert scim.service.token_refusals._unwritten == {}


async def test_a_refusal_that_cannot_be_stored_as_it_came_is_stored_as_near_as_can_be(
    scim: Scim, client: SecretClient
) -> None:
    class Refusing:
        async def verify(self, _client: TokenClient, _assertion: str, _now: float) -> ClientCredential:
            raise AssertionRefused("aud", "e" * 3000, "\x00\ud800" + "r" * 3000)

    app = public_app(scim.service, assertions=Refusing())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as sender:
        answer = await ask(sender, assertion_form(client))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert refusal.check == "aud"
    assert len(refusal.expected) == 1024


async def test_each_request_is_counted_by_its_result(scim: Scim, client: SecretClient) -> None:
    await ask(scim.client, client.form())
    await ask(scim.client, client.form(client_secret="wrong"))
    await ask(scim.client, client.form(client_id="nobody"))
    await ask(scim.client, client.form(scope='"'))
    await ask(scim.client, client.form(), {"content-type": "text/plain"})
    await scim.client.get(URL)
    assert counted(scim) == {
        "issued": 1,
        "secret": 1,
        "client_id": 1,
        "scope": 1,
        "media_type": 1,
        "method": 1,
    }


async def test_nothing_secret_is_logged(scim: Scim, client: SecretClient) -> None:
    wrong = new_token("ClientSecret")
    with capture_logs() as logs:
        issued = await ask(scim.client, client.form(), {"user-agent": "x"})
        await ask(scim.client, client.form(client_secret=wrong))
        await ask(scim.client, client.form(client_id=wrong))
        await ask(scim.client, client.form(scope=f'"{wrong}'))
        await ask(scim.client, {**GRANT, wrong: wrong}, basic(wrong, wrong))
    assert [(log["event"], log["client"]) for log in logs] == [
        ("access token issued", "demo/entra"),
        ("token request refused", "demo/entra"),
        ("token request refused", None),
        ("token request refused", "demo/entra"),
        ("token request refused", None),
    ]
    assert logs[0]["credential"] == client.credential
    assert (logs[1]["check"], logs[1]["received"]) == ("secret", "one that was never issued")
    text = str(logs)
    for secret in (client.secret, wrong, issued.json()["access_token"]):
        assert secret not in text


# -- assertions -------------------------------------------------------------------------------------


TRUST = WorkloadIdentityTrust(
    tenant_id="0f0e0d0c-0b0a-0908-0706-050403020100",
    subjects=("subject",),
    audiences=("audience",),
    issuers=("https://login.example/t/v2.0",),
    keys_url="https://login.example/t/keys",
)


def assertion_form(client: SecretClient, assertion: str = "good") -> dict[str, str]:
    return client.form(client_secret=None, client_assertion=assertion, client_assertion_type=ASSERTION_TYPE)


class Verifier:
    """Takes one assertion for a client's trust, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []
        self.fault: Exception | None = None

    async def verify(self, client: TokenClient, assertion: str, now: float) -> ClientCredential:
        self.asked.append((client.client_id, assertion, now))
        if self.fault is not None:
            raise self.fault
        if assertion != "good":
            raise AssertionRefused("aud", "audience", "another")
        return next(item for item in client.credentials if item.kind == "WorkloadIdentity")


@pytest.fixture
async def trusted(scim: Scim) -> SecretClient:
    item = credential("trust").model_copy(
        update={"kind": "WorkloadIdentity", "trust": TRUST, "digest": TRUST.fingerprint("an-id")}
    )
    wanted = PutConnection(tenant="contoso", credentials=(item,), oauth_client=OAuthClient(client_id="an-id"))
    await scim.service.store.put_connection("demo", "entra", wanted, if_match=None)
    return SecretClient("an-id", "", "trust")


async def sent_to(scim: Scim, verifier: Verifier | None, form: dict[str, str]) -> httpx.Response:
    app = public_app(scim.service, assertions=verifier)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as sender:
        return await ask(sender, form)


async def test_an_assertion_that_is_verified_gets_a_token_in_its_trusts_name(
    scim: Scim, trusted: SecretClient
) -> None:
    verifier = Verifier()
    answer = await sent_to(scim, verifier, assertion_form(trusted))
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (3600, "Bearer")
    [(client_id, assertion, now)] = verifier.asked
    assert (client_id, assertion) == ("an-id", "good")
    assert abs(now - time.time()) < 30
    assert list(await last_uses(scim)) == ["trust"]
    assert await status(scim, bearer(answer)) == 200


async def test_an_assertion_that_is_not_verified_is_refused_with_the_check(
    scim: Scim, trusted: SecretClient
) -> None:
    answer = await sent_to(scim, Verifier(), assertion_form(trusted, "bad"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert (refusal.check, refusal.expected, refusal.received) == ("aud", "audience", "another")
    assert counted(scim) == {"aud": 1}


async def test_an_unknown_clients_assertion_is_not_verified_and_answered_alike(
    scim: Scim, trusted: SecretClient
) -> None:
    verifier = Verifier()
    unknown = await sent_to(scim, verifier, {**assertion_form(trusted), "client_id": "nobody"})
    assert verifier.asked == []
    refused = await sent_to(scim, verifier, assertion_form(trusted, "bad"))
    assert (unknown.status_code, unknown.content) == (401, refused.content)


async def test_while_keys_cannot_be_read_it_is_503(scim: Scim, trusted: SecretClient) -> None:
    verifier = Verifier()
    verifier.fault = Unavailable("gone")
    answer = await sent_to(scim, verifier, assertion_form(trusted))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


async def test_where_nobody_verifies_assertions_none_is_taken_and_people_see_why(
    scim: Scim, trusted: SecretClient
) -> None:
    answer = await sent_to(scim, None, assertion_form(trusted))
    assert answer.status_code == 401
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert (refusal.check, refusal.received) == ("assertion", "an assertion")


async def test_a_removed_trust_ends_its_tokens(scim: Scim, trusted: SecretClient) -> None:
    token = bearer(await sent_to(scim, Verifier(), assertion_form(trusted)))
    assert await status(scim, token) == 200
    await put_secrets(scim.service.store, client_id="an-id")
    await until(lambda: status(scim, token), 401, seconds=1.5)


def test_descriptions_are_what_the_rfc_allows() -> None:
    assert token_issuer._ASSERTION_REFUSED.isascii()
    assert not set(token_issuer._ASSERTION_REFUSED) & set('"\\')
