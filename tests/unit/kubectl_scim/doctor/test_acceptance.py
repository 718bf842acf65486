"""Whether the SCIM API accepts what a Secret holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kubectl_scim.doctor.acceptance import Acceptance
from kubectl_scim.kubectl import Kubectl
from kubectl_scim.scimtoken import ScimToken
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import scimtoken, secret

PLAIN = "sct_not-to-be-seen"
REFUSED = 'Error from server (Forbidden): {0} is forbidden: User "ada" cannot list resource "{0}"'


class Service:
    """The SCIM API behind the port-forward."""

    def __init__(self) -> None:
        self.answer: httpx.Response | Exception = httpx.Response(200, json={})
        self.requests: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service, usual = Service(), httpx.Client

    def client(**options: Any) -> httpx.Client:
        return usual(**{**options, "transport": httpx.MockTransport(service.handle)})

    monkeypatch.setattr(httpx, "Client", client)
    return service


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


@pytest.fixture
def acceptance(played: PlayedKubectl) -> Iterator[Acceptance]:
    with Acceptance(Kubectl((), str(played.program)), "scim-system") as acceptance:
        yield acceptance


def _usual(played: PlayedKubectl) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", token=PLAIN))
    played.answer("services", out={"items": [{"metadata": {"name": "scim-api"}}]})
    played.answer("port-forward", out="Forwarding from 127.0.0.1:41234 -> 8080\n", hang=True)


def test_a_workload_identity_has_no_credential_to_try(
    played: PlayedKubectl, acceptance: Acceptance, service: Service
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", client_id="c"))
    check = acceptance(ScimToken(scimtoken()))
    assert (check.outcome, service.requests) == ("not checkable", [])
    assert (
        check.message
        == "workload identity keeps no credential in the Secret; see the condition SignInRefused"
    )


def test_credentials_are_tried_through_one_port_forward_as_a_look(
    played: PlayedKubectl, acceptance: Acceptance, service: Service
) -> None:
    _usual(played)
    checks = [acceptance(ScimToken(scimtoken())) for _ in range(2)]
    assert [(one.name, one.outcome) for one in checks] == [
        ("team/entra: credential at the SCIM API", "passed")
    ] * 2
    assert [str(one.url) for one in service.requests] == [
        "http://127.0.0.1:41234/scim/v2/ServiceProviderConfig"
    ] * 2
    assert service.requests[0].headers["authorization"] == f"Bearer {PLAIN}"
    assert service.requests[0].headers["user-agent"].startswith("kubectl-scim/")
    assert sum("port-forward" in call for call in played.calls) == 1
    assert PLAIN not in str(checks)


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        (httpx.Response(401, json={}), "does not accept", "kubectl scim rotate entra -n team"),
        (httpx.ConnectError("refused"), "does not answer", "component=api"),
        (httpx.Response(503, json={"detail": "no database"}), "no database", "component=api"),
        (httpx.Response(404, json={}), "404", "another's"),
    ],
)
def test_what_is_not_accepted_or_not_answered_fails_with_what_to_do(
    played: PlayedKubectl, acceptance: Acceptance, service: Service, answer: Any, said: str, remedy: str
) -> None:
    _usual(played)
    service.answer = answer
    check = acceptance(ScimToken(scimtoken()))
    assert check.outcome == "failed"
    assert said in check.message
    assert remedy in str(check.remedy)
    assert PLAIN not in str(check)


def test_without_a_right_or_a_secret_to_try_it_can_not_be_told(
    played: PlayedKubectl, acceptance: Acceptance, service: Service
) -> None:
    played.answer("services", err=REFUSED.format("services"), code=1)
    played.answer("mine", out=secret(endpoint="https://scim.example.com/scim/v2", **{"client-id": "c"}))
    _usual(played)
    denied = acceptance(ScimToken(scimtoken()))
    trusted = acceptance(ScimToken(scimtoken(secretName="mine")))
    assert (denied.outcome, trusted.outcome) == ("not checkable", "not checkable")
    assert "cannot list resource" in denied.message
    assert "workload identity" in trusted.message
    assert service.requests == []
