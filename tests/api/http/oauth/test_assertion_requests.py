"""Requests with an assertion: what is asked of whoever verifies it, and what becomes of the answer."""

import time
from datetime import timedelta

import httpx
import pytest

from api.conftest import Scim
from scim_api.contract.admin import (
    OAuthClient,
    PutConnection,
)
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.public import public_app
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import ClientCredential, TokenClient
from support.stored import credential
from support.token_requests import (
    TRUST,
    SecretClient,
    a_second_later,
    ask,
    assertion_form,
    bearer,
    counted,
    last_refusal,
    last_uses,
    opens,
    put_secrets,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


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
    app = public_app(scim.service, assertions=None if verifier is None else lambda: verifier)
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
    assert await opens(scim, bearer(answer)) == 200


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
    assert await opens(scim, token) == 200
    await put_secrets(scim.service.store, client_id="an-id")
    a_second_later(scim)
    assert await opens(scim, token) == 401
