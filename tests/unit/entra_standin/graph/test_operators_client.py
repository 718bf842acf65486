"""The operator's own client of login and Graph, against the stand-in: each call, each way to sign in, each obstacle."""

import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from entra_standin.directory import six_people
from entra_standin.graph import Application as Played
from entra_standin.graph import Fault, FederatedCredential, MicrosoftCloud
from entra_standin.graph.registrations import EXCHANGE_AUDIENCE
from entra_standin.signing_keys import SigningKeys
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.adapters.graph import GraphClient
from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    CertificateIdentity,
    ClientSecretIdentity,
    EntraError,
    Identity,
    OAuthCredentials,
    Obstacle,
    RestartScope,
    ServiceAccountIdentity,
)
from support.microsoft import key_pem
from unit.entra_standin.faulty_service import TOKEN
from unit.entra_standin.graph.certified import Certified
from unit.entra_standin.graph.graph_client import SECRET
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET

ISSUER = "https://cluster.example"
NAMESPACE, NAME = "customers", "entra"
ROLE = "Synchronization.ReadWrite.All"


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return SigningKeys()


@pytest.fixture(scope="module")
def certified() -> Certified:
    return Certified(time.time() - 60)


@pytest.fixture
def cloud(keys: SigningKeys) -> Iterator[MicrosoftCloud]:
    with MicrosoftCloud(jwks=keys.jwks) as cloud:
        yield cloud


@pytest.fixture
def played(cloud: MicrosoftCloud, certified: Certified) -> Played:
    """An application, and a caller who signs in in three ways."""
    tenant = cloud.add_tenant()
    subject = f"system:serviceaccount:{NAMESPACE}:{NAME}"
    caller = tenant.add_caller(
        secret=SECRET,
        certificate_pem=certified.pem,
        federated=[FederatedCredential(ISSUER, subject)],
        roles={ROLE},
    )
    return tenant.add_application(owners=[caller], people=six_people())


@pytest.fixture
def client_id(cloud: MicrosoftCloud, played: Played) -> str:
    [owner] = played.owners
    callers = cloud.callers.values()
    return next(one.client_id for one in callers if one.service_principal_id() == owner)


@pytest.fixture
def application(played: Played) -> Application:
    return Application(GraphCloud.PUBLIC, played.tenant_id, played.service_principal_id)


@pytest.fixture
async def graph(cloud: MicrosoftCloud, keys: SigningKeys) -> AsyncIterator[GraphClient]:
    async def token_of(namespace: str, name: str, audience: str) -> str:
        now = int(time.time())
        subject = f"system:serviceaccount:{namespace}:{name}"
        return keys.sign({"aud": [audience], "exp": now + 600, "iss": ISSUER, "nbf": now, "sub": subject})

    clouds = Clouds(login_url=cloud.login_url, graph_url=cloud.graph_url)
    pace = EntraPace(1000)
    async with httpx.AsyncClient(trust_env=False) as client:
        login = EntraLogin(client, token_of, clouds, pace)
        yield GraphClient(client, login, clouds, pace, guard=lambda: None)


@pytest.fixture
def bearer(scim_url: str) -> BearerCredentials:
    return BearerCredentials(scim_url, TOKEN)


@pytest.fixture
def oauth(scim_url: str) -> OAuthCredentials:
    return OAuthCredentials(scim_url, scim_url.replace("/scim/v2", "/oauth2/token"), CLIENT_ID, CLIENT_SECRET)


@pytest.fixture
def secret(client_id: str) -> ClientSecretIdentity:
    return ClientSecretIdentity(client_id, SECRET)


async def obstacle(call: object) -> Obstacle:
    with pytest.raises(EntraError) as error:
        await call  # type: ignore[misc]
    return error.value.obstacle


@pytest.mark.parametrize("way", ["secret", "certificate", "service account"])
async def test_each_way_to_sign_in_reads_the_jobs(
    graph: GraphClient,
    application: Application,
    played: Played,
    client_id: str,
    certified: Certified,
    way: str,
) -> None:
    identities: dict[str, Identity] = {
        "secret": ClientSecretIdentity(client_id, SECRET),
        "certificate": CertificateIdentity(client_id, certified.pem.decode(), key_pem(certified.key)),
        "service account": ServiceAccountIdentity(client_id, NAMESPACE, NAME),
    }
    assert [job.id for job in await graph.jobs(application, identities[way])] == [played.jobs[0].id]


async def test_a_credential_is_validated_saved_validated_as_saved_and_used(
    graph: GraphClient,
    application: Application,
    played: Played,
    secret: ClientSecretIdentity,
    bearer: BearerCredentials,
    oauth: OAuthCredentials,
) -> None:
    [job] = played.jobs
    for credentials in (bearer, oauth, bearer):
        shown = await graph.job(application, secret, job.id)
        await graph.validate(application, secret, shown, credentials)
        await graph.save(application, secret, credentials)
        await graph.validate(application, secret, shown, None)
        await graph.start(application, secret, job.id)
        execution = job.run_cycle()
        assert execution is not None
        assert execution.failure is None
        assert (await graph.job(application, secret, job.id)).code == "Active"
    assert played.credentials["SecretToken"] == TOKEN
    assert played.credentials["AuthenticationType"] == "AuthenticationToken"


async def test_a_wrong_credential_is_refused_and_its_quarantine_is_shown_and_ended(
    graph: GraphClient,
    application: Application,
    played: Played,
    secret: ClientSecretIdentity,
    bearer: BearerCredentials,
) -> None:
    [job] = played.jobs
    wrong = BearerCredentials(bearer.endpoint, "wrong")
    shown = await graph.job(application, secret, job.id)
    assert await obstacle(graph.validate(application, secret, shown, wrong)) is Obstacle.CREDENTIALS_REFUSED
    await graph.save(application, secret, wrong)
    await graph.start(application, secret, job.id)
    job.run_cycle()
    shown = await graph.job(application, secret, job.id)
    assert shown.quarantine is not None
    assert shown.quarantine.reason == "EncounteredQuarantineException"
    assert shown.quarantine.next_attempt_at == job.next_run
    await graph.save(application, secret, bearer)
    await graph.restart(application, secret, job.id, RestartScope.QUARANTINE_STATE)
    assert (await graph.job(application, secret, job.id)).quarantine is None


async def test_one_person_is_provisioned_on_demand(
    graph: GraphClient, application: Application, played: Played, secret: ClientSecretIdentity, bearer: BearerCredentials
) -> None:  # fmt: skip
    await graph.save(application, secret, bearer)
    done = await graph.provision_on_demand(application, secret, played.jobs[0].id, "ada")
    assert done.result == "Success"


async def test_what_a_newcomer_gets_wrong_is_told_apart(
    graph: GraphClient,
    cloud: MicrosoftCloud,
    application: Application,
    played: Played,
    secret: ClientSecretIdentity,
) -> None:
    by_app_id = Application(GraphCloud.PUBLIC, played.tenant_id, played.app_id)
    assert await obstacle(graph.jobs(by_app_id, secret)) is Obstacle.APPLICATION_NOT_FOUND
    assert await obstacle(graph.job(application, secret, "scim.x")) is Obstacle.JOB_NOT_FOUND
    nowhere = Application(GraphCloud.PUBLIC, "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2", played.app_id)
    assert await obstacle(graph.jobs(nowhere, secret)) is Obstacle.SIGN_IN_REFUSED
    customer = Application(GraphCloud.PUBLIC, cloud.add_tenant().id, played.app_id)
    for multi_tenant in (False, True):
        cloud.callers[secret.client_id].multi_tenant = multi_tenant
        assert await obstacle(graph.jobs(customer, secret)) is Obstacle.CONSENT_MISSING
    elsewhere = ServiceAccountIdentity(secret.client_id, "other", NAME)
    assert await obstacle(graph.jobs(application, elsewhere)) is Obstacle.SIGN_IN_REFUSED
    cloud.callers[secret.client_id].revoke(ROLE)
    cloud.forget_tokens()
    assert await obstacle(graph.jobs(application, secret)) is Obstacle.PERMISSION_MISSING


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNAVAILABLE, Fault.CLOSED, Fault.CONFLICT])
async def test_faults_that_pass_are_told_as_such(
    graph: GraphClient,
    cloud: MicrosoftCloud,
    application: Application,
    secret: ClientSecretIdentity,
    fault: Fault,
) -> None:
    with cloud.faults.inject(fault, times=None, retry_after=7):
        assert await obstacle(graph.jobs(application, secret)) is Obstacle.UNREACHABLE


def test_the_audience_is_the_one_that_the_operator_asks_for() -> None:
    assert Clouds().endpoints(GraphCloud.PUBLIC).exchange_audience == EXCHANGE_AUDIENCE
