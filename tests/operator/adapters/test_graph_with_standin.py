"""Login and Graph client against the stand-in for Microsoft's side: every way to sign in, every call, every wrong input of
a newcomer, and every fault. ServiceAccounts' tokens are those of a real API server.
"""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from kubernetes.aio import client

from entra_standin.directory import six_people
from entra_standin.graph import GRAPH, LOGIN, Caller, Fault, FederatedCredential, MicrosoftCloud, Tenant
from entra_standin.graph import Application as Enterprise
from localcluster import ControlPlane
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.adapters.graph import GraphClient
from scim_operator.adapters.proxies import outside_client
from scim_operator.adapters.service_account_tokens import ServiceAccountTokens
from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import (
    TRANSIENT,
    Application,
    BearerCredentials,
    ClientSecretIdentity,
    EntraError,
    Identity,
    Obstacle,
    RestartScope,
    ServiceAccountIdentity,
)
from scim_operator.planning.entra.ports import OAuthCredentials as OAuth
from support.installed import client_of
from support.microsoft import certificate_identity
from unit.entra_standin.faulty_service import TOKEN
from unit.entra_standin.served import served
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, World

ROLE = "Synchronization.ReadWrite.All"
SECRET = "q8Q~a-secret-of-an-app"
ACCOUNT = "entra-hand-over"
REVISED = "sct_another-token-that-no-message-may-show"


class Stage:
    """A tenant at Microsoft's side with one enterprise application, and the client that looks after it."""

    def __init__(self, cloud: MicrosoftCloud, world: World, origin: str, graph: GraphClient) -> None:
        self.cloud, self.world, self.graph = cloud, world, graph
        self.endpoint = f"{origin}/scim/v2"
        self.tenant = cloud.add_tenant()
        self.caller = self.tenant.add_caller(secret=SECRET, roles={ROLE})
        self.identity: Identity = ClientSecretIdentity(self.caller.client_id, SECRET)
        self.enterprise = self.tenant.add_application(
            credentials={"BaseAddress": self.endpoint, "SecretToken": TOKEN}, people=six_people()
        )
        self.bearer = BearerCredentials(self.endpoint, TOKEN)
        self.oauth = OAuth(self.endpoint, f"{origin}/oauth2/token", CLIENT_ID, CLIENT_SECRET)

    @property
    def application(self) -> Application:
        return Application(GraphCloud.PUBLIC, self.tenant.id, self.enterprise.service_principal_id)

    @property
    def job_id(self) -> str:
        return self.enterprise.jobs[0].id

    async def refused(self, identity: Identity | None = None, of: Application | None = None) -> EntraError:
        """What reading the jobs is refused with."""
        with pytest.raises(EntraError) as told:
            await self.graph.jobs(of or self.application, identity or self.identity)
        assert SECRET not in told.value.message
        return told.value


@pytest.fixture
def jwks(installed: ControlPlane) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        keys: dict[str, Any] = json.loads(installed.kubectl("get", "--raw", "/openid/v1/jwks").stdout)
        return keys

    return read


@pytest.fixture
def cloud(jwks: Callable[[], dict[str, Any]]) -> Iterator[MicrosoftCloud]:
    with MicrosoftCloud(jwks=jwks) as cloud:
        yield cloud


@pytest.fixture
async def kube(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    async with await client_of(installed.kubeconfig) as api_client:
        yield api_client


@pytest.fixture
async def stage(cloud: MicrosoftCloud, kube: client.ApiClient) -> AsyncIterator[Stage]:
    clouds, world = Clouds(cloud.login_url, cloud.graph_url), World()
    with served(world) as origin:
        async with outside_client(timeout=httpx.Timeout(10)) as http:
            pace = EntraPace(1000)
            login = EntraLogin(http, ServiceAccountTokens(kube).token, clouds, pace)
            yield Stage(cloud, world, origin, GraphClient(http, login, clouds, pace, guard=lambda: None))


@pytest.fixture
def account(installed: ControlPlane, quiet_namespace: str, stage: Stage) -> ServiceAccountIdentity:
    installed.kubectl("create", "serviceaccount", ACCOUNT, "-n", quiet_namespace)
    return ServiceAccountIdentity(stage.caller.client_id, quiet_namespace, ACCOUNT)


def issuer(installed: ControlPlane) -> str:
    configuration = installed.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout
    return str(json.loads(configuration)["issuer"])


# -- signing in -------------------------------------------------------------------------------------


async def test_a_service_account_signs_in_without_a_secret_anywhere(
    installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    stage.caller.remove_secrets()
    found = await stage.graph.jobs(stage.application, account)
    assert [job.id for job in found] == [stage.job_id]


async def test_a_certificate_signs_in(stage: Stage) -> None:
    identity = dataclasses.replace(certificate_identity(days=30_000), client_id=stage.caller.client_id)
    stage.caller.add_certificate(identity.certificate)
    assert len(await stage.graph.jobs(stage.application, identity)) == 1


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ({}, "no federated credential"),
        ({"subject": "system:serviceaccount:another:entra-hand-over"}, "subject system:serviceaccount:"),
        ({"subject": "capitals"}, "character by character"),
        ({"issuer": "https://another.example"}, "/.well-known/openid-configuration"),
        ({"audience": "api://another"}, "audience api://AzureADTokenExchange"),
        ({"works_from": 9e9}, "minutes later"),
    ],
    ids=["none", "another namespace", "capitals", "another issuer", "another audience", "made just now"],
)
async def test_a_federated_credential_that_does_not_fit_is_told_with_what_it_needs(
    installed: ControlPlane,
    stage: Stage,
    account: ServiceAccountIdentity,
    credential: dict[str, Any],
    words: str,
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    if credential.get("subject") == "capitals":
        credential = {"subject": subject.upper()}
    if credential:
        right = FederatedCredential(issuer(installed), subject)
        stage.caller.federate(dataclasses.replace(right, **credential))
    error = await stage.refused(account)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert words in error.message
    assert f"system:serviceaccount:{account.namespace}:{ACCOUNT}" in error.message
    assert error.request_id


async def test_keys_that_microsoft_cannot_read_are_told(
    installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    stage.cloud.issuers[issuer(installed)] = {"keys": []}
    assert "kubectl get --raw /openid/v1/jwks" in (await stage.refused(account)).message

    def unreachable() -> dict[str, Any]:
        raise OSError

    stage.cloud.issuers[issuer(installed)] = unreachable
    assert "reachable from the Internet" in (await stage.refused(account)).message


async def test_clocks_that_differ_are_told(
    jwks: Callable[[], dict[str, Any]], installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    real = stage.cloud._clock()
    stage.cloud._login._clock = lambda: real + 7200
    error = await stage.refused(account)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "set the clocks of the nodes" in error.message


async def test_a_wrong_and_an_expired_secret_are_told_apart(stage: Stage) -> None:
    wrong = ClientSecretIdentity(stage.caller.client_id, "the-id-and-not-the-value")
    assert "not its Secret ID" in (await stage.refused(wrong)).message
    stage.caller.expire_secrets(1.0)
    assert "has expired" in (await stage.refused()).message


async def test_a_certificate_that_is_not_registered_is_told(stage: Stage) -> None:
    identity = dataclasses.replace(certificate_identity(days=30_000), client_id=stage.caller.client_id)
    error = await stage.refused(identity)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "az ad app credential reset" in error.message


async def test_an_unknown_tenant_is_told(stage: Stage) -> None:
    error = await stage.refused(
        of=dataclasses.replace(stage.application, tenant_id="0" * 8 + stage.tenant.id[8:])
    )
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "correct spec.entra.tenantID" in error.message


@pytest.mark.parametrize("code", [7000229, 700016])
async def test_a_customer_who_has_not_consented_is_sent_a_link(stage: Stage, code: int) -> None:
    stage.cloud.behaviour.missing_consent_code = code
    home: Tenant = stage.cloud.add_tenant()
    vendor: Caller = home.add_caller(secret=SECRET, multi_tenant=True)
    identity = ClientSecretIdentity(vendor.client_id, SECRET)
    error = await stage.refused(identity)
    assert error.obstacle is Obstacle.CONSENT_MISSING
    link = f"{stage.cloud.login_url}/{stage.tenant.id}/adminconsent?client_id={vendor.client_id}"
    assert link in error.message
    vendor.consent(stage.tenant.id, {ROLE})
    assert len(await stage.graph.jobs(stage.application, identity)) == 1


# -- rights and ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_right_is_told_and_a_grant_helps_at_the_next_try(stage: Stage, status: int) -> None:
    stage.cloud.behaviour.missing_right_status = status
    stage.caller.revoke(ROLE)
    error = await stage.refused()
    assert error.obstacle is Obstacle.PERMISSION_MISSING
    assert "az ad app permission add" in error.message
    stage.caller.grant(ROLE)
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_a_grant_counts_at_once_although_the_cached_token_lacks_it(stage: Stage) -> None:
    stage.caller.revoke(ROLE)
    stage.caller.grant("Synchronization.Read.All")
    await stage.graph.jobs(stage.application, stage.identity)
    stage.caller.grant(ROLE)
    await stage.graph.start(stage.application, stage.identity, stage.job_id)
    assert stage.enterprise.jobs[0].state == "Active"


async def test_the_owner_of_the_service_principal_needs_no_right_to_all(stage: Stage) -> None:
    stage.caller.revoke(ROLE)
    stage.caller.grant("Application.ReadWrite.OwnedBy")
    assert (await stage.refused()).obstacle is Obstacle.PERMISSION_MISSING
    principal = stage.caller.service_principal_id()
    assert principal is not None
    stage.enterprise.owners.add(principal)
    await stage.graph.save(stage.application, stage.identity, stage.bearer)


async def test_tokens_that_the_login_forgot_are_fetched_anew(stage: Stage) -> None:
    await stage.graph.jobs(stage.application, stage.identity)
    stage.cloud.forget_tokens()
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_an_application_id_in_the_place_of_the_object_id_is_told(stage: Stage) -> None:
    wrong = dataclasses.replace(stage.application, service_principal_id=stage.enterprise.app_id)
    error = await stage.refused(of=wrong)
    assert error.obstacle is Obstacle.APPLICATION_NOT_FOUND
    assert "not the application id" in error.message
    with pytest.raises(EntraError) as told:
        await stage.graph.job(wrong, stage.identity, stage.job_id)
    assert told.value.obstacle is Obstacle.APPLICATION_NOT_FOUND


async def test_a_job_that_is_not_there_is_told(stage: Stage) -> None:
    with pytest.raises(EntraError) as told:
        await stage.graph.job(stage.application, stage.identity, "scim.absent")
    assert told.value.obstacle is Obstacle.JOB_NOT_FOUND
    assert "correct spec.entra.jobID" in told.value.message


async def test_an_application_without_a_job_has_an_empty_list(stage: Stage) -> None:
    stage.enterprise.remove_job(stage.enterprise.jobs[0])
    assert await stage.graph.jobs(stage.application, stage.identity) == []


# -- the hand-over ----------------------------------------------------------------------------------


async def hand_over(stage: Stage, credentials: BearerCredentials | OAuth) -> None:
    """As the reconciler does it: validate, save, validate as saved."""
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    await stage.graph.validate(stage.application, stage.identity, job, credentials)
    await stage.graph.save(stage.application, stage.identity, credentials)
    await stage.graph.validate(stage.application, stage.identity, job, None)


def held(enterprise: Enterprise, *keys: str) -> list[str | None]:
    return [enterprise.credentials.get(key) for key in keys]


async def test_a_rotated_token_is_handed_over_and_the_old_one_may_end(stage: Stage) -> None:
    stage.world.scim.tokens = {TOKEN, REVISED}
    await hand_over(stage, dataclasses.replace(stage.bearer, token=REVISED))
    assert held(stage.enterprise, "BaseAddress", "SecretToken") == [stage.endpoint, REVISED]
    stage.world.scim.tokens = {REVISED}
    await stage.graph.start(stage.application, stage.identity, stage.job_id)
    stage.enterprise.jobs[0].run_cycle()
    job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
    assert (job.code, job.schedule_state, job.quarantine, job.failures) == ("Active", "Active", None, 0)
    assert job.last_execution is not None
    assert job.last_execution.state == "Succeeded"
    assert job.last_execution.exported is not None
    assert job.last_execution.exported >= len(six_people())
    assert job.last_success_at == job.last_execution.ended_at


@pytest.mark.parametrize(("way", "times"), [("bearer", 6), ("oauth", 5)])
async def test_a_hand_over_makes_this_many_requests_the_sign_in_among_them(
    stage: Stage, way: str, times: int
) -> None:
    await hand_over(stage, stage.bearer if way == "bearer" else stage.oauth)
    assert stage.cloud.requests.total == times
    stage.cloud.requests.clear()
    await hand_over(stage, stage.bearer if way == "bearer" else stage.oauth)
    assert stage.cloud.requests.total == times - 1


async def test_client_credentials_are_handed_over_and_a_bearer_token_again_after_them(stage: Stage) -> None:
    await hand_over(stage, stage.oauth)
    assert held(
        stage.enterprise, "AuthenticationType", "Oauth2ClientSecret", "CredentialLocationInRequest"
    ) == [
        "OAuth2ClientCredentialsGrant",
        CLIENT_SECRET,
        "Header",
    ]
    fetched = len(stage.world.tokens.forms)
    assert fetched > 0
    await hand_over(stage, stage.bearer)
    assert held(stage.enterprise, "AuthenticationType", "SecretToken") == ["AuthenticationToken", TOKEN]
    assert len(stage.world.tokens.forms) == fetched, "Entra goes on with OAuth"


async def test_credentials_that_do_not_work_are_refused_before_they_are_saved(stage: Stage) -> None:
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    for credentials, words in (
        (dataclasses.replace(stage.bearer, token=REVISED), "refused the credentials"),
        (dataclasses.replace(stage.oauth, client_secret="scs_wrong-one"), "refused the credentials"),
        (dataclasses.replace(stage.bearer, endpoint="http://127.0.0.1:1/scim/v2"), "connect"),
    ):
        with pytest.raises(EntraError) as told:
            await stage.graph.validate(stage.application, stage.identity, job, credentials)
        assert told.value.obstacle is Obstacle.CREDENTIALS_REFUSED
        assert words in told.value.message
        assert "scs_wrong-one" not in told.value.message
        assert REVISED not in told.value.message
    assert held(stage.enterprise, "SecretToken") == [TOKEN]


async def test_an_endpoint_without_groups_is_told(stage: Stage) -> None:
    def without_groups(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(404) if request.url.path.endswith("/Groups") else answer

    stage.world.scim.fault = without_groups
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    with pytest.raises(EntraError) as told:
        await stage.graph.validate(stage.application, stage.identity, job, stage.bearer)
    assert told.value.obstacle is Obstacle.CREDENTIALS_REFUSED
    assert "/Users or /Groups" in told.value.message


async def test_a_quarantine_is_read_and_ends_by_a_start_or_a_restart(stage: Stage) -> None:
    stage.world.scim.tokens = set()
    for end in ("start", "restart"):
        stage.enterprise.jobs[0].start()
        while stage.enterprise.jobs[0].quarantine is None:
            stage.enterprise.jobs[0].run_cycle()
        job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
        assert job.code == "Quarantine"
        assert job.quarantine is not None
        assert job.quarantine.reason == "EncounteredQuarantineException"
        assert job.quarantine.began_at is not None
        assert job.quarantine.next_attempt_at is not None
        if end == "start":
            await stage.graph.start(stage.application, stage.identity, stage.job_id)
        else:
            scope = RestartScope.QUARANTINE_STATE
            await stage.graph.restart(stage.application, stage.identity, stage.job_id, scope)
        job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
        assert (job.quarantine, job.code) == (None, "Active")


async def test_one_user_is_provisioned_on_demand(stage: Stage) -> None:
    person = six_people()[0]
    first, second = [
        await stage.graph.provision_on_demand(stage.application, stage.identity, stage.job_id, person.key)
        for _ in range(2)
    ]
    assert first.result == "Success"
    assert second.result == "Skipped"
    assert second.detail.startswith("RedundantExport: ")
    unknown = await stage.graph.provision_on_demand(stage.application, stage.identity, stage.job_id, "nobody")
    assert unknown.detail.startswith("NotEffectivelyEntitled: ")


# -- faults -----------------------------------------------------------------------------------------


SIDES = pytest.mark.parametrize("path", [GRAPH, LOGIN], ids=["graph", "login"])


@SIDES
@pytest.mark.parametrize(
    "fault",
    [
        Fault.CONFLICT,
        Fault.THROTTLED,
        Fault.SERVER_ERROR,
        Fault.BAD_GATEWAY,
        Fault.UNAVAILABLE,
        Fault.GATEWAY_TIMEOUT,
        Fault.CLOSED,
        Fault.NESTED,
    ],
)
async def test_a_fault_that_goes_by_itself_is_told_as_one(stage: Stage, fault: Fault, path: str) -> None:
    stage.cloud.faults.inject(fault, path=path)
    assert (await stage.refused()).obstacle in TRANSIENT
    if fault is not Fault.THROTTLED:
        assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_a_429_says_when_and_nobody_of_the_tenant_asks_before(stage: Stage) -> None:
    stage.cloud.faults.inject(Fault.THROTTLED, retry_after=40)
    assert (await stage.refused()).retry_after == timedelta(seconds=40)
    asked = stage.cloud.requests.total
    rest = (await stage.refused()).retry_after
    assert rest is not None
    assert timedelta(seconds=20) < rest <= timedelta(seconds=40)
    assert stage.cloud.requests.total == asked


async def test_a_401_in_between_is_not_seen_with_a_cached_token(stage: Stage) -> None:
    await stage.graph.jobs(stage.application, stage.identity)
    stage.cloud.faults.inject(Fault.UNAUTHORIZED)
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.HANGING])
@SIDES
async def test_no_fault_brings_anything_but_an_error_of_ours(stage: Stage, fault: Fault, path: str) -> None:
    stage.cloud.faults.inject(fault, path=path, times=None, seconds=0.01, retry_after=1)
    try:
        await hand_over(stage, stage.oauth)
        await stage.graph.start(stage.application, stage.identity, stage.job_id)
    except EntraError as error:
        assert SECRET not in error.message
        assert CLIENT_SECRET not in error.message
