"""What is noted of a refusal: a metric, a log event without secrets, and the last one of each client."""

from datetime import timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from api.conftest import Scim
from scim_api.contract.oauth import ASSERTION_TYPE
from scim_api.contract.tokens import new_token
from scim_api.http.oauth import token_issuer
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.token_rate import BURST
from scim_api.http.public import public_app
from scim_api.store.protocol import ClientCredential, TokenClient
from support.token_requests import (
    GRANT,
    URL,
    SecretClient,
    ask,
    assertion_form,
    basic,
    counted,
    last_refusal,
    put_secrets,
    secret_credential,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


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


async def test_people_are_told_of_a_secret_that_has_ended(scim: Scim) -> None:
    secret = new_token("ClientSecret")
    present = await scim.service.store.connection("demo", "entra")
    accepted = secret_credential(secret, present)
    ended = accepted.model_copy(update={"retires_at": present.now})
    for item in (accepted, ended):
        await put_secrets(scim.service.store, item, client_id="an-id")
    await ask(scim.client, {**GRANT, "client_id": "an-id", "client_secret": secret})
    refusal = await last_refusal(scim)
    assert refusal is not None
    assert refusal.expected == "nothing: no client secret of this client is accepted now"
    assert refusal.received == f"one that ended at {present.now:%Y-%m-%dT%H:%M:%SZ}"


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

    app = public_app(scim.service, assertions=Refusing)
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
    # Strangers don't fill the log: a client's first refusal stands out, until they are written, and no more.
    assert [log["log_level"] for log in logs] == ["info", "info", "debug", "debug", "debug"]
    assert logs[0]["credential"] == client.credential
    assert (logs[1]["check"], logs[1]["received"]) == ("secret", "one that was never issued")
    text = str(logs)
    for secret in (client.secret, wrong, issued.json()["access_token"]):
        assert secret not in text


def test_descriptions_are_what_the_rfc_allows() -> None:
    assert token_issuer._ASSERTION_REFUSED.isascii()
    assert not set(token_issuer._ASSERTION_REFUSED) & set('"\\')
