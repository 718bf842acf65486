"""Login and Graph client against the stand-in for Microsoft's side. ServiceAccounts' tokens are those of a real API server."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from kubernetes.aio import client

from entra_standin.directory import six_people
from entra_standin.graph import MicrosoftCloud
from localcluster import ControlPlane
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.adapters.graph import GraphClient
from scim_operator.adapters.proxies import outside_client
from scim_operator.adapters.service_account_tokens import ServiceAccountTokens
from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    ClientSecretIdentity,
    EntraError,
    Identity,
)
from scim_operator.planning.entra.ports import OAuthCredentials as OAuth
from support.installed import client_of
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


async def hand_over(stage: Stage, credentials: BearerCredentials | OAuth) -> None:
    """As the reconciler does it: validate, save, validate as saved."""
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    await stage.graph.validate(stage.application, stage.identity, job, credentials)
    await stage.graph.save(stage.application, stage.identity, credentials)
    await stage.graph.validate(stage.application, stage.identity, job, None)
