"""The service as other people's tools meet it: an address and a token."""

import secrets
from collections.abc import Iterator

import pytest

from support.postgres import PostgresServer
from support.scim_service import Endpoint, ScimService, service_on


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ScimService]:
    """One process for each database."""
    directory = tmp_path_factory.mktemp("service")
    with service_on(request.param, directory, postgres_server) as service:
        yield service


@pytest.fixture
def unused_name() -> str:
    """For a connection and tenant that nobody has."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def endpoint(service: ScimService, unused_name: str) -> Endpoint:
    """A tenant of its own with the defaults."""
    return service.connect(unused_name)


@pytest.fixture
def by_name(service: ScimService, unused_name: str) -> Endpoint:
    """A tenant that matches users by userName: nobody needs a work e-mail."""
    return service.connect(unused_name, matching="userName")
