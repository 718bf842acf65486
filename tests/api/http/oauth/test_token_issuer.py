"""What a token is worth, what ends it, what counts as a use, on each database."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.conftest import BASE, Scim
from scim_api.contract.proof import PROOF_AGENT, PROOF_HEADER
from scim_api.contract.tokens import new_token
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.protocol import TokenClient
from support.token_requests import (
    ASK,
    FORM,
    GRANT,
    URL,
    SecretClient,
    a_second_later,
    ask,
    bearer,
    last_refusal,
    last_uses,
    opens,
    put_secrets,
    register,
    secret_credential,
    until,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


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
    assert await opens(scim, {"authorization": f"Bearer {client.secret}"}) == 401


async def test_a_revoked_secret_ends_its_tokens_within_a_second_everywhere(
    scim: Scim, client: SecretClient
) -> None:
    token = bearer(await ask(scim.client, client.form()))
    assert await opens(scim, token) == 200
    await put_secrets(scim.service.store, client_id=client.client_id)
    a_second_later(scim)
    assert await opens(scim, token) == 401
    assert (await ask(scim.client, client.form())).status_code == 401


async def test_a_deleted_connection_ends_its_tokens_within_a_second_everywhere(
    scim: Scim, client: SecretClient
) -> None:
    token = bearer(await ask(scim.client, client.form()))
    assert await opens(scim, token) == 200
    await scim.service.store.delete_connection("demo", "entra", if_match=None)
    a_second_later(scim)
    assert await opens(scim, token) == 401
    assert (await ask(scim.client, client.form())).status_code == 401


async def test_a_secret_that_ended_leaves_its_tokens_to_their_own_end(scim: Scim) -> None:
    client = await register(scim.service.store, lifetime=SECOND)
    token = bearer(await ask(scim.client, client.form()))

    async def asked() -> int:
        return (await ask(scim.client, client.form())).status_code

    await until(asked, 401)
    assert await opens(scim, token) == 200
    scim.service.authenticator.invalidate()
    assert await opens(scim, token) == 200


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


async def test_a_person_who_looks_inspects_the_secret_and_hides_no_refusal(
    scim: Scim, client: SecretClient
) -> None:
    await ask(scim.client, client.form(client_secret=new_token("ClientSecret")))
    looking = {"user-agent": "kubectl-scim/0.1.0"}
    token = bearer(await ask(scim.client, client.form(), looking))
    await scim.client.get(ASK, headers={**token, **looking})

    assert await last_uses(scim) == {}
    [held] = (await scim.service.store.connection("demo", "entra")).credentials
    assert held.last_inspected_at is not None
    assert await last_refusal(scim) is not None

    await scim.client.get(ASK, headers={**token, "user-agent": "another"})
    assert await last_uses(scim) == {client.credential: "another"}


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
