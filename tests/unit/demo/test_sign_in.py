"""The demo's part about ways to sign in, against services in memory and a kubectl that does what an operator would."""

import base64
import dataclasses
import io
import json
import shlex
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from demo import rotation, sign_in
from demo.console import Console, DemoFailed, Kubectl
from entra_standin.key_server import KeyServer
from entra_standin.signing_keys import SigningKeys
from unit.entra_standin.faulty_service import TOKEN, error
from unit.entra_standin.served import served
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, World


@dataclasses.dataclass
class Operator:
    """``kubectl`` of one ScimToken, whose Secret follows its type."""

    origin: str
    world: World
    console: Console
    auth: dict[str, Any] = dataclasses.field(default_factory=lambda: {"type": "BearerToken"})

    def __call__(self, *arguments: str) -> str:
        match arguments:
            case ("get", "secret", "entra-scim-token", "-o", "json"):
                data = {key: base64.b64encode(text.encode()).decode() for key, text in self._secret().items()}
                return json.dumps({"data": data})
            case ("patch", "sct", "entra", "--type=merge", "-p", patch):
                self.auth = json.loads(patch)["spec"]["auth"]
                if self.auth["type"] == "WorkloadIdentity":
                    self._trust(self.auth["workloadIdentity"])
                return ""
        raise AssertionError(shlex.join(arguments))

    def step(self, text: str, *arguments: str) -> str:
        self.console.step(text, shlex.join(["kubectl", *arguments]))
        return self(*arguments)

    def _trust(self, trust: dict[str, Any]) -> None:
        [subject] = trust["subjects"]
        assert trust["audiences"][1] == sign_in.IDENTITY.app_id
        self.world.tokens.claims = {
            "tid": trust["tenantID"], "sub": subject, "aud": trust["audiences"][1],
        }  # fmt: skip
        self.world.tokens.jwks = lambda: httpx.get(trust["keysURL"], trust_env=False).json()

    def _secret(self) -> dict[str, str]:
        endpoint = f"{self.origin}/scim/v2"
        if self.auth["type"] == "BearerToken":
            return {
                "endpoint": endpoint,
                "token": TOKEN,
                "token-id": "t1",
                "expires-at": "2027-01-01T00:00:00Z",
            }
        client = {
            "endpoint": endpoint,
            "token-endpoint": f"{self.origin}/oauth2/token",
            "client-id": CLIENT_ID,
        }
        if self.auth["type"] == "WorkloadIdentity":
            return client
        secret = {
            "client-secret": CLIENT_SECRET,
            "client-secret-id": "s1",
            "expires-at": "2027-01-01T00:00:00Z",
        }
        return client | secret


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def operator(world: World, told: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    monkeypatch.setattr(rotation, "_ENOUGH", 5)
    monkeypatch.setattr(rotation, "_PAUSE_SECONDS", 0.01)
    with served(world) as origin:
        yield Operator(origin, world, Console(told))


def tell(operator: Operator) -> None:
    keys = SigningKeys()
    with KeyServer(keys, sign_in.IDENTITY.tenant_id) as server:
        sign_in.tell(operator.console, cast("Kubectl", operator), "entra", keys, server)
        assert server.requests >= 2


def test_a_scimtoken_is_changed_twice_under_traffic_without_a_rejected_request(
    operator: Operator, world: World, told: io.StringIO
) -> None:
    tell(operator)
    lines = told.getvalue().splitlines()
    counts = [line for line in lines if "requests sent: " in line]
    assert len(counts) == 2
    assert all("rejected: 0 " in line for line in counts)
    assert any("the Secret holds no secret: client-id, endpoint, token-endpoint" in line for line in lines)
    kinds = [
        "client_assertion" if "client_assertion" in form else "client_secret" for form in world.tokens.forms
    ]
    assert kinds == ["client_secret", "client_assertion", "client_assertion"]


def test_a_request_that_is_rejected_ends_the_demo_even_if_the_client_repeats_it(
    operator: Operator, world: World
) -> None:
    refused: list[str] = []

    def once(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        bearer = request.headers["authorization"]
        if "sca_" in bearer and not refused:
            refused.append(bearer)
            return error(401)
        return answer

    world.scim.fault = once
    with pytest.raises(DemoFailed, match=r"rejected during the change, by status: \{401: 1\}"):
        tell(operator)


def test_a_secret_that_keeps_what_it_should_not_is_waited_for_and_told(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_SOON_SECONDS", 0.2)
    monkeypatch.setattr(
        Operator, "_secret", lambda self: {"endpoint": f"{self.origin}/scim/v2", "token": TOKEN}
    )
    with pytest.raises(DemoFailed, match=r"the Secret holds client-id, client-secret, .* and nothing else"):
        tell(operator)
