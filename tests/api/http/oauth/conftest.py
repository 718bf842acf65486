"""A client of the token endpoint, which nobody has to wait for."""

import pytest

from api.conftest import Scim
from scim_api.http.oauth import token_endpoint
from support.token_requests import SecretClient, register


@pytest.fixture
async def client(scim: Scim) -> SecretClient:
    return await register(scim.service.store)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_endpoint, "REFUSAL_DELAY_SECONDS", 0.0)
