"""By which way people are read, and when a credential goes nowhere."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from kubectl_scim import scim_service
from kubectl_scim.kubectl import Kubectl, KubectlError
from kubectl_scim.reading import reading, using
from kubectl_scim.scimtoken import ScimToken
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import scimtoken, secret

ENTRA = ScimToken(scimtoken())
REFUSED = 'Error from server (Forbidden): services is forbidden: User "ada" cannot list resource "services"'


class Asked:
    """What goes over the network, and whence."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[httpx.Request] = []
        self.trust_env: list[bool] = []
        usual = httpx.Client

        def client(**options: Any) -> httpx.Client:
            self.trust_env.append(options["trust_env"])
            return usual(**{**options, "transport": httpx.MockTransport(self._handle)})

        monkeypatch.setattr(httpx, "Client", client)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json={"totalResults": 0, "Resources": [], "next": "c"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    played = PlayedKubectl(tmp_path)
    played.answer("scimtokens.scim-operator.io", out={"items": []})
    return played


@pytest.fixture
def kubectl(played: PlayedKubectl) -> Kubectl:
    return Kubectl((), str(played.program))


def test_people_are_read_through_a_port_forward(
    played: PlayedKubectl, kubectl: Kubectl, asked: Asked
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", token="sct_1"))
    played.answer("services", out={"items": [{"metadata": {"name": "scim-api"}}]})
    played.answer("port-forward", out="Forwarding from 127.0.0.1:41234 -> 8080\n", hang=True)
    said: list[str] = []
    with reading(kubectl, ENTRA, "scim-system", said.append) as service:
        service.users(None, 1, 1)
    assert str(asked.requests[0].url).startswith("http://127.0.0.1:41234/scim/v2/Users?")
    assert said == []


def test_who_may_not_forward_reads_over_the_network_and_is_told(
    played: PlayedKubectl, kubectl: Kubectl, asked: Asked
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/prefix/scim/v2", token="sct_1"))
    played.answer("services", err=REFUSED, code=1)
    said: list[str] = []
    token = ScimToken(scimtoken(endpoint="https://scim.example.com/prefix/scim/v2"))
    with reading(kubectl, token, "scim-system", said.append) as service:
        service.users(None, 1, 1)
        service.head()
    assert [str(one.url).partition("?")[0] for one in asked.requests] == [
        "https://scim.example.com/prefix/scim/v2/Users",
        "https://scim.example.com/prefix/changes/v1",
    ]
    [line] = said
    assert 'cannot list resource "services"' in line
    assert "over the network instead: https://scim.example.com/prefix/scim/v2" in line


def test_an_installation_that_is_not_where_it_is_said_to_be_is_told(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", token="sct_1"))
    played.answer("services", out={"items": []})
    with (
        pytest.raises(KubectlError, match="namespace elsewhere has no Service"),
        reading(kubectl, ENTRA, "elsewhere", lambda _text: None),
    ):
        pass


@pytest.mark.parametrize(
    "endpoint", ["http://scim.example.com/scim/v2", "ftp://127.0.0.1.example.com/scim/v2"]
)
def test_a_credential_does_not_go_over_the_network_in_clear(
    played: PlayedKubectl, kubectl: Kubectl, endpoint: str
) -> None:
    played.answer("secret", out=secret(endpoint=endpoint, token="sct_1"))
    played.answer("services", err=REFUSED, code=1)
    with (
        pytest.raises(
            KubectlError,
            match=r"no port-forward .*cannot list resource .*\), and the endpoint .* is not https.*Next: ask for create on",
        ),
        reading(kubectl, ScimToken(scimtoken(endpoint=endpoint)), "scim-system", lambda _text: None),
    ):
        pass


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:8080/scim/v2", "http://localhost/scim/v2/", "http://[::1]:1/scim/v2"]
)
def test_to_this_machine_it_does(
    played: PlayedKubectl, kubectl: Kubectl, asked: Asked, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.answer("secret", out=secret(endpoint=endpoint, token="sct_1"))
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    token = ScimToken(scimtoken(endpoint=endpoint))
    with using(kubectl, token, agent="x", through_cluster=False, installation=None) as connection:
        connection.send("GET", "/scim/v2/Users")
    assert asked.trust_env == [False], "a proxy is not this machine"
    assert str(asked.requests[0].url) == f"{endpoint.rstrip('/')}/Users"


def test_a_use_does_not_go_in_clear_either_and_needs_a_credential_in_the_secret(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    def refused(token: ScimToken) -> str:
        with (
            pytest.raises(KubectlError) as raised,
            using(kubectl, token, agent="x", through_cluster=False, installation=None),
        ):
            pass
        return str(raised.value)

    federated = ScimToken(scimtoken(secretName="federated", endpoint="https://x/scim/v2"))
    played.answer("federated", out=secret(endpoint="https://x/scim/v2", client_id="c"))
    played.answer("secret", out=secret(endpoint="http://x/scim/v2", token="sct_1"))
    assert "Create a ReadWrite ScimToken of type BearerToken for tenant entra" in refused(federated)
    assert refused(ScimToken(scimtoken(endpoint="http://x/scim/v2"))).endswith(
        "is not https, so no credential is sent there. Next: --port-forward goes another way"
    )


def test_a_use_has_the_scim_tokens_own_credential_and_another_name(
    played: PlayedKubectl, kubectl: Kubectl, asked: Asked
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", token="sct_1"))
    played.answer("services", out={"items": [{"metadata": {"name": "scim-api"}}]})
    played.answer("port-forward", out="Forwarding from 127.0.0.1:41234 -> 8080\n", hang=True)
    with using(
        kubectl, ENTRA, agent="scim-simulate/1", through_cluster=True, installation="scim-system"
    ) as connection:
        connection.send("GET", "/scim/v2/Users")
    assert str(asked.requests[0].url) == "http://127.0.0.1:41234/scim/v2/Users"
    assert asked.requests[0].headers["user-agent"] == "scim-simulate/1"
    assert not any("scimtokens.scim-operator.io" in call for call in played.calls)
    with (
        pytest.raises(ValueError, match="pass for a look"),
        using(kubectl, ENTRA, agent=scim_service.USER_AGENT, through_cluster=False, installation=None),
    ):
        pass
