"""A client and the service in memory that it talks to."""

from collections.abc import Iterator

import pytest

from entra_standin.client import EntraClient
from unit.entra_standin.faulty_service import TOKEN, URL, Service


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def client(service: Service) -> Iterator[EntraClient]:
    with EntraClient(URL, TOKEN, transport=service.transport()) as client:
        yield client
