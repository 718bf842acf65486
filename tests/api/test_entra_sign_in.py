"""Entra's three ways to sign in, against the real process on each database."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import requests
from msal.oauth2cli.oauth2 import Client as MsalClient

from entra_standin.__main__ import play
from entra_standin.assertions import Assertions, Variant, WorkloadIdentity
from entra_standin.client import EntraClient
from entra_standin.errors import EntraError, Rejected
from entra_standin.key_server import Behaviour, KeyServer
from entra_standin.sign_in import AccessTokens
from entra_standin.signing_keys import SigningKeys
from entra_standin.token_endpoint import ClientSecret, Credentials, Location, SignedAssertion, TokenEndpoint
from entra_standin.validator import federated_identity, validate_credentials
from scim_api.cli import issuance, sign_in
from scim_api.cli.issuance import Issued
from scim_api.contract.admin import Connection, RateLimit, TenantSettings, WorkloadIdentityTrust
from scim_api.contract.oauth import CLOUDS, Cloud, token_endpoint
from support.postgres import PostgresServer
from support.scim_service import ScimService, service_on

TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
IDENTITY = WorkloadIdentity(
    TENANT, "9d1b7d52-7f0e-4a53-8f5e-6c1f0c2b7a10", "3c0f0a2e-0d0f-4b0a-9a55-2d6a0e6f1d11"
)
DAY = timedelta(days=1)
UNLIMITED = TenantSettings(rate_limit=RateLimit(requests_per_second=10_000, burst=10_000))
DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return SigningKeys()


@pytest.fixture(scope="module")
def module_key_server(keys: SigningKeys) -> Iterator[KeyServer]:
    with KeyServer(keys, TENANT) as server:
        yield server


@pytest.fixture
def key_server(module_key_server: KeyServer) -> Iterator[KeyServer]:
    yield module_key_server
    module_key_server.behaviour = Behaviour.RIGHT


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    module_key_server: KeyServer,
) -> Iterator[ScimService]:
    directory = tmp_path_factory.mktemp("service")
    with service_on(
        request.param, directory, postgres_server, {"SCIM_API_KEYS_HOSTS": module_key_server.origin}
    ) as service:
        yield service


class Client:
    """A connection with a client of the token endpoint."""

    def __init__(self, service: ScimService, how: sign_in.SignIn) -> None:
        self.service, self.name = service, f"t{secrets.token_hex(6)}"
        self.issued: Issued = service.store(
            lambda store: issuance.create(
                store,
                "demo",
                self.name,
                tenant=self.name,
                settings=UNLIMITED,
                sign_in=how,
                endpoint=service.url,
            )
        )
        assert self.issued.client_id is not None
        self.client_id = self.issued.client_id
        self.token_url = token_endpoint(service.url)

    def by_secret(self, issued: Issued | None = None, location: Location = Location.HEADER) -> ClientSecret:
        plaintext = (issued or self.issued).plaintext
        assert plaintext is not None
        return ClientSecret(self.client_id, plaintext, location)

    def rotate(self, *, revoke_others: bool) -> Issued:
        return self.service.store(
            lambda store: issuance.rotate(
                store, "demo", self.name, lifetime=DAY, revoke_others=revoke_others, endpoint=self.service.url
            )
        )

    def held(self) -> Connection:
        return self.service.store(lambda store: store.connection("demo", self.name))

    def play(self, credentials: Credentials, scope: str | None = None) -> None:
        told: list[str] = []
        with (
            TokenEndpoint(self.token_url, credentials, scope=scope) as endpoint,
            EntraClient(self.service.url, AccessTokens(endpoint.fetch)) as client,
        ):
            assert play(client, told.append), told


@pytest.fixture
def client(service: ScimService) -> Client:
    return Client(service, sign_in.ClientCredentials(DAY, 3600))


def trusting(server: KeyServer) -> sign_in.WorkloadIdentity:
    app = IDENTITY.app_id
    trust = WorkloadIdentityTrust(
        tenant_id=TENANT,
        subjects=(IDENTITY.object_id,),
        audiences=(f"api://{app}/.default", f"api://{app}", app),
        issuers=CLOUDS[Cloud.PUBLIC].issuers(TENANT),
        keys_url=server.url,
    )
    return sign_in.WorkloadIdentity(trust, 3600)


@pytest.fixture
def federated(service: ScimService, key_server: KeyServer) -> Client:
    return Client(service, trusting(key_server))


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("location", list(Location))
@pytest.mark.parametrize("scope", [None, "scim scim.readwrite"])
def test_all_cycles_go_with_client_credentials(client: Client, location: Location, scope: str | None) -> None:
    client.play(client.by_secret(location=location), scope)


@pytest.mark.parametrize("variant", list(Variant))
def test_all_cycles_go_with_a_workload_identity(
    federated: Client, keys: SigningKeys, variant: Variant
) -> None:
    federated.play(SignedAssertion(federated.client_id, Assertions(IDENTITY, keys, variant)))


@pytest.mark.parametrize("location", list(Location))
def test_microsofts_validator_passes_with_client_credentials(client: Client, location: Location) -> None:
    granted = validate_credentials(client.service.url, client.token_url, client.by_secret(location=location))
    assert granted.expires_in == 3600


def test_microsofts_validator_passes_with_a_workload_identity(federated: Client, keys: SigningKeys) -> None:
    credentials = SignedAssertion(federated.client_id, Assertions(IDENTITY, keys))
    federated_identity(federated.service.url, federated.token_url, credentials)


@pytest.fixture
def direct() -> Iterator[requests.Session]:
    """What msal sends its requests with."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def works(service: ScimService, answer: dict[str, Any]) -> bool:
    """Whether what msal got opens the service."""
    bearer = {"authorization": f"{answer['token_type']} {answer['access_token']}"}
    url = f"{service.url}/Users?startIndex=1&count=1"
    return httpx.get(url, headers=bearer, trust_env=False).status_code == 200


def test_microsofts_own_client_library_signs_in_with_a_client_secret(
    client: Client, direct: requests.Session
) -> None:
    secret = client.by_secret()
    msal = MsalClient(
        {"token_endpoint": client.token_url},
        secret.client_id,
        http_client=direct,
        client_secret=secret.client_secret,
    )
    assert works(client.service, msal.obtain_token_for_client(scope=["scim"]))
    msal.client_secret = "wrong"
    assert msal.obtain_token_for_client(scope=["scim"])["error"] == "invalid_client"


@pytest.mark.parametrize("variant", Variant)
def test_microsofts_own_client_library_signs_in_with_an_assertion(
    federated: Client, keys: SigningKeys, direct: requests.Session, variant: Variant
) -> None:
    sign = Assertions(IDENTITY, keys, variant)
    msal = MsalClient(
        {"token_endpoint": federated.token_url},
        federated.client_id,
        http_client=direct,
        client_assertion=sign,
        client_assertion_type=MsalClient.CLIENT_ASSERTION_TYPE_JWT,
    )
    assert works(federated.service, msal.obtain_token_for_client(scope=["scim"]))


def test_an_access_token_outlives_a_rotation_and_ends_with_a_revocation(client: Client) -> None:
    with (
        TokenEndpoint(client.token_url, client.by_secret()) as endpoint,
        EntraClient(client.service.url, AccessTokens(endpoint.fetch)) as entra,
    ):
        entra.find_nobody()
        client.rotate(revoke_others=False)
        entra.find_nobody()
        assert entra.rejected == {}
        client.rotate(revoke_others=True)

        def is_refused() -> bool:
            try:
                entra.find_nobody()
            except Rejected as refused:
                assert refused.status == 401
                assert refused.scim_type == "invalid_client"
                return True
            return False

        eventually(is_refused)


def test_a_second_secret_works_beside_the_first(client: Client) -> None:
    second = client.rotate(revoke_others=False)
    for issued in (client.issued, second):
        with TokenEndpoint(client.token_url, client.by_secret(issued)) as endpoint:
            endpoint.fetch()


def test_a_client_secret_and_a_secret_token_do_not_stand_for_each_other(client: Client) -> None:
    secret = client.issued.plaintext
    assert secret is not None
    with EntraClient(client.service.url, secret) as entra, pytest.raises(Rejected) as refused:
        entra.find_nobody()
    assert refused.value.status == 401


def test_the_list_of_connections_tells_which_claim_was_refused(
    service: ScimService, key_server: KeyServer, keys: SigningKeys
) -> None:
    """Each on a connection of its own: one wait for the job that writes refusals down is enough for all."""
    somebody = "1b2c3d4e-0000-4000-8000-00000000ffff"
    wrong: dict[str, Any] = {
        "aud": "api://somebody-else",
        "iss": "https://login.microsoftonline.com/common/v2.0",
        "sub": somebody,
        "tid": somebody,
        "exp": 1,
    }
    clients = {check: Client(service, trusting(key_server)) for check in wrong}
    for check, client in clients.items():
        credentials = SignedAssertion(client.client_id, Assertions(IDENTITY, keys, **{check: wrong[check]}))
        with TokenEndpoint(client.token_url, credentials) as endpoint, pytest.raises(Rejected) as refused:
            endpoint.fetch()
        assert refused.value.status in (400, 401)

    def told() -> bool:
        refusals = {check: client.held().last_refusal for check, client in clients.items()}
        return {check: one and one.check for check, one in refusals.items()} == {one: one for one in wrong}

    eventually(told)


@pytest.mark.parametrize("behaviour", [one for one in Behaviour if one is not Behaviour.RIGHT])
def test_with_keys_that_were_fetched_before_a_failing_key_server_is_no_hindrance(
    federated: Client, keys: SigningKeys, key_server: KeyServer, behaviour: Behaviour
) -> None:
    credentials = SignedAssertion(federated.client_id, Assertions(IDENTITY, keys))
    with TokenEndpoint(federated.token_url, credentials) as endpoint:
        endpoint.fetch()
        key_server.behaviour = behaviour
        endpoint.fetch()


def test_what_an_impostors_key_signed_is_refused(federated: Client, keys: SigningKeys) -> None:
    impostor = SigningKeys()
    claims = IDENTITY.claims(Variant.OBSERVED, time.time())
    credentials = SignedAssertion(federated.client_id, lambda: impostor.sign(claims, kid=keys.kid))
    with TokenEndpoint(federated.token_url, credentials) as endpoint, pytest.raises(EntraError):
        endpoint.fetch()


def test_a_question_without_credentials_is_refused_in_the_form_of_rfc_6749(service: ScimService) -> None:
    answer = httpx.post(
        token_endpoint(service.url), data={"grant_type": "client_credentials"}, trust_env=False
    )
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] in ("invalid_request", "invalid_client")
