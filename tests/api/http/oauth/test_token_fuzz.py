"""Token requests that are right or nearly right: a token for those that are exactly right, no 5xx for any other.

The suite plays some hundreds; ``TOKEN_REQUESTS=100000`` plays so many.
"""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from api.conftest import Scim
from scim_api.contract.admin import OAuthClient, PutConnection
from scim_api.contract.oauth import TOKEN_PATH
from scim_api.contract.tokens import new_token
from scim_api.http.oauth import token_rate
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.public import public_app
from scim_api.store.protocol import ClientCredential, Store, TokenClient
from support.conversation import raw_request
from support.shared_scim import SHARED, scim
from support.stored import credential
from support.token_mutations import GOOD_ASSERTION, Sent, World, is_right, refused_kinds, requests
from support.token_requests import TRUST, put_secrets, secret_credential
from unit.scim_api.http.oauth.test_token_request import DESCRIPTION

__all__ = ["scim"]
pytestmark = SHARED
EACH: Final = 10
"""Requests of one example."""
NUMBER: Final = int(os.environ.get("TOKEN_REQUESTS", "600"))
CODES: Final = {
    400: {"invalid_request", "unsupported_grant_type", "invalid_scope"},
    401: {"invalid_client"},
    405: {"invalid_request"},
    413: {"invalid_request"},
}
DAY: Final = timedelta(days=1)


class Verifier:
    """Takes one assertion from whoever has a trust."""

    async def verify(self, client: TokenClient, assertion: str, _now: float) -> ClientCredential:
        found = [item for item in client.credentials if item.kind == "WorkloadIdentity"]
        if assertion != GOOD_ASSERTION or not found:
            raise AssertionRefused("signature", "", assertion)
        return found[0]


async def connections(store: Store) -> World:
    """A client with two secrets, one with a secret and dead ones, one with a trust."""
    live = [new_token("ClientSecret") for _ in range(3)]
    revoked, ended = new_token("ClientSecret"), new_token("ClientSecret")
    present = await store.connection("demo", "two")
    await put_secrets(
        store,
        *(secret_credential(secret, present) for secret in live[:2]),
        client_id="client-two",
        name="two",
        tenant="two",
    )
    dying = [
        secret_credential(live[2], present),
        secret_credential(ended, present, retires=-timedelta(seconds=1)),
    ]
    to_revoke = secret_credential(revoked, present)
    for credentials in ([*dying, to_revoke], dying):
        await put_secrets(store, *credentials, client_id="client-dying", name="dying", tenant="dying")
    trust = credential("trust").model_copy(
        update={"kind": "WorkloadIdentity", "trust": TRUST, "digest": TRUST.fingerprint("client-trust")}
    )
    wanted = PutConnection(
        tenant="trust", credentials=(trust,), oauth_client=OAuthClient(client_id="client-trust")
    )
    await store.put_connection("demo", "trust", wanted, if_match=None)
    return World(
        {"client-two": frozenset(live[:2]), "client-dying": frozenset(live[2:])},
        frozenset({"client-trust"}),
        (revoked, ended, *refused_kinds()),
    )


@dataclasses.dataclass
class Endpoint:
    """The endpoint, and what it has answered."""

    app: ASGIApp
    world: World
    answered: Counter[str] = dataclasses.field(default_factory=Counter)


@pytest_asyncio.fixture(loop_scope="module")
async def endpoint(scim: Scim, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    monkeypatch.setattr(token_rate, "BURST", float("inf"))
    world = await connections(scim.service.store)
    endpoint = Endpoint(public_app(scim.service, assertions=Verifier), world)
    yield endpoint
    print(f"\n{endpoint.answered.total()} requests: {dict(endpoint.answered)}")


async def check(endpoint: Endpoint, sent: Sent) -> None:
    """Send one request and check its answer."""
    answer = await raw_request(endpoint.app, sent.method, TOKEN_PATH, sent.headers, sent.body, base="")
    endpoint.answered[str(answer.status_code)] += 1
    assert answer.headers["cache-control"] == "no-store"
    if sent.method != "HEAD":
        body = answer.json()
    if is_right(sent, endpoint.world):
        assert answer.status_code == 200, (sent, answer.text)
        assert re.fullmatch(r"sca_\w{49}", body["access_token"])
        assert 3600 <= body["expires_in"] <= 21_600
        return
    assert answer.status_code in CODES, (sent, answer.text)
    if sent.method != "HEAD":
        assert set(body) == {"error", "error_description"}
        assert body["error"] in CODES[answer.status_code]
        assert DESCRIPTION.fullmatch(body["error_description"])


BOUNDED: Final = settings(
    max_examples=NUMBER // EACH,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


@BOUNDED
@given(data=st.data())
async def test_exactly_the_right_ones_get_a_token(endpoint: Endpoint, data: st.DataObject) -> None:
    for sent in data.draw(st.lists(requests(endpoint.world), min_size=EACH, max_size=EACH)):
        await check(endpoint, sent)


DRAWN: Final = Counter[bool]()
NOBODY: Final = World({"an-id": frozenset({new_token("ClientSecret")})}, frozenset({"b"}), refused_kinds())


@settings(BOUNDED, max_examples=200)
@given(sent=requests(NOBODY))
async def test_some_of_what_is_tried_is_right_and_most_is_not(sent: Sent) -> None:
    DRAWN[is_right(sent, NOBODY)] += 1
    if DRAWN.total() == 150:
        assert 15 < DRAWN[True] < 100
