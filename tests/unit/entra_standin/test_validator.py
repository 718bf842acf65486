"""What Microsoft's validator asks about signing in, and each answer with which its tests would fail."""

from collections.abc import Callable

import httpx
import pytest

from entra_standin.assertions import Assertions, WorkloadIdentity
from entra_standin.errors import EntraError, Finding, Rejected
from entra_standin.signing_keys import SigningKeys
from entra_standin.token_endpoint import ClientSecret, Location, SignedAssertion
from entra_standin.validator import federated_identity, validate_credentials
from unit.entra_standin.faulty_service import URL, error
from unit.entra_standin.token_service import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN_URL,
    World,
    answer,
    grant,
    refusal,
)

TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"


def validate(world: World, location: Location = Location.BODY, scope: str | None = None) -> float:
    secret = ClientSecret(CLIENT_ID, CLIENT_SECRET, location)
    return validate_credentials(URL, TOKEN_URL, secret, scope=scope, transport=world.transport).expires_in


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("location", list(Location))
@pytest.mark.parametrize("scope", [None, "scim"])
def test_validate_credentials_gets_a_token_and_asks_for_the_first_user(
    world: World, location: Location, scope: str | None
) -> None:
    assert validate(world, location, scope) == 3600
    [asked] = world.scim.requests
    assert (asked.method, asked.url.path) == ("GET", "/scim/v2/Users")
    assert dict(asked.url.params) == {"startIndex": "1", "count": "1"}
    assert world.tokens.forms[0].get("scope") == scope


def test_federated_identity_sends_an_assertion_no_scope_and_a_field_that_nobody_asked_for(
    world: World,
) -> None:
    keys, identity = SigningKeys(), WorkloadIdentity(TENANT, "app", "object")
    world.tokens.jwks, world.tokens.claims = keys.jwks, {"sub": "object", "aud": "app", "tid": TENANT}
    credentials = SignedAssertion(CLIENT_ID, Assertions(identity, keys))
    federated_identity(URL, TOKEN_URL, credentials, transport=world.transport)
    [form] = world.tokens.forms
    assert form["baseAddress"] == URL
    assert "scope" not in form
    assert len(world.scim.requests) == 1


def test_federated_identity_fails_with_another_subject(world: World) -> None:
    keys, identity = SigningKeys(), WorkloadIdentity(TENANT, "app", "object")
    world.tokens.jwks, world.tokens.claims = keys.jwks, {"sub": "somebody else"}
    with pytest.raises(Finding, match="401: the validator wants 2xx"):
        federated_identity(
            URL, TOKEN_URL, SignedAssertion(CLIENT_ID, Assertions(identity, keys)), transport=world.transport
        )


def test_an_absent_lifetime_counts_as_an_hour(world: World) -> None:
    world.scim.tokens.add("sca_x")
    world.tokens.fault = lambda _right: grant(access_token="sca_x", expires_in=None)
    assert validate(world) == 3600


FAULTS: list[tuple[Callable[[], httpx.Response], str]] = [
    (lambda: refusal("invalid_client", 401), "wants 2xx"),
    (grant, "wants an access_token"),
    (lambda: grant(access_token="x", expires_in=3599), "60 to 360 minutes"),
    (lambda: grant(access_token="x", expires_in=21_601), "60 to 360 minutes"),
    (lambda: grant(access_token="x", expires_in="3600"), "60 to 360 minutes"),
    (lambda: answer(200, []), "not a JSON object"),
]


@pytest.mark.parametrize(("made", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_of_the_token_endpoint_fails_the_validators_test(
    world: World, made: Callable[[], httpx.Response], message: str
) -> None:
    world.tokens.fault = lambda _right: made()
    with pytest.raises(Finding, match=message):
        validate(world)
    assert world.scim.requests == []


def test_a_token_that_opens_nothing_fails_the_validators_test(world: World) -> None:
    world.scim.fault = lambda _request, _answer: error(401)
    with pytest.raises(EntraError) as failed:
        validate(world)
    assert isinstance(failed.value, Rejected)
