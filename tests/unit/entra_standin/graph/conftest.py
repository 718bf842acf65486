"""A cloud, and a SCIM service with its token endpoint on the loopback address."""

from collections.abc import Iterator

import pytest

from entra_standin.directory import six_people, three_teams
from entra_standin.graph import Application, Caller, Job, MicrosoftCloud, Tenant
from unit.entra_standin.faulty_service import TOKEN
from unit.entra_standin.graph.graph_client import SECRET, Clock, GraphClient
from unit.entra_standin.served import served
from unit.entra_standin.token_service import World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def scim_url(world: World) -> Iterator[str]:
    with served(world) as origin:
        yield f"{origin}/scim/v2"


@pytest.fixture
def cloud(clock: Clock) -> Iterator[MicrosoftCloud]:
    with MicrosoftCloud(clock=clock) as cloud:
        yield cloud


@pytest.fixture
def tenant(cloud: MicrosoftCloud) -> Tenant:
    return cloud.add_tenant()


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    return tenant.add_caller(secret=SECRET, roles={"Synchronization.ReadWrite.All"})


@pytest.fixture
def graph(cloud: MicrosoftCloud, caller: Caller) -> GraphClient:
    return GraphClient(cloud, caller).sign_in()


@pytest.fixture
def application(tenant: Tenant, scim_url: str) -> Application:
    """With a secret token that works, people and groups; its job was not started."""
    return tenant.add_application(
        credentials={"BaseAddress": scim_url, "SecretToken": TOKEN}, people=six_people(), teams=three_teams()
    )


@pytest.fixture
def job(application: Application) -> Job:
    return application.jobs[0]
