"""What is read for a support archive, and what becomes of it where a right is missing."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubectl_scim.bundle.archive import build
from kubectl_scim.bundle.collection import Collection, Collector
from scim_console.model import Check
from support.installation_objects import deployment, pod, scimwebhook
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import NOW, scimtoken

PLAIN = "sct_" + "a1B2" * 12 + "x"
FORBIDDEN = 'Error from server (Forbidden): {0} is forbidden: User "looker" cannot list resource "{0}"'


def _secret(name: str, owner: str = "Other", **data: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team", "ownerReferences": [{"kind": owner}]},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def _usual(played: PlayedKubectl) -> None:
    played.answer("scimtokens.scim-operator.io", "entra", out=scimtoken())
    played.answer("scimtokens.scim-operator.io", out={"items": [scimtoken()]})
    played.answer("scimwebhooks.scim-operator.io", out={"items": [scimwebhook()]})
    played.answer("deployments.apps", out={"items": [deployment("api", SCIM_API_LOG_LEVEL="info")]})
    played.answer("pods", out={"items": [pod("api", "api-1", restarts=1)]})
    bound = {"kind": "ServiceAccount", "namespace": "scim-system"}
    played.answer("clusterrolebindings", out={"items": [{"subjects": [bound]}]})
    played.answer("logs", "--previous", out="it ended: ada@example.com\n")
    played.answer("logs", out=f"came with {PLAIN}\nuserName=lovelace\n")
    events = [
        {"involvedObject": {"kind": kind}, "message": f"{kind} of ada@example.com"}
        for kind in ("ScimToken", "Pod")
    ]
    played.answer("events", out={"items": [*events, {"message": "of nothing"}]})
    played.answer("secret", out=_secret("entra-scim-token", "ScimToken", token=PLAIN))
    secrets = [
        _secret("entra-scim-token", "ScimToken", token=PLAIN, endpoint="https://scim.example.com/scim/v2"),
        _secret("database", endpoint="db.internal:5432", password="hunter2"),
    ]
    played.answer("secrets", out={"items": secrets})


def _collect(played: PlayedKubectl, name: str | None = None, installation: str | None = None) -> Collection:
    collector = Collector(played.in_process(), "team", name, installation, 7, lambda _text: None)
    return collector.collect([Check("server", "passed", "v1.37.2", None)], NOW)


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


def test_what_a_supporter_needs_is_read(played: PlayedKubectl) -> None:
    _usual(played)
    found = _collect(played)
    assert list(found.files) == [
        "README.txt",
        "checks.json",
        "scimtokens.json",
        "scimwebhooks.json",
        "installation/deployments.json",
        "installation/pods.json",
        "logs/scim-system/api-1/main.log",
        "logs/scim-system/api-1/main.previous.log",
        "events/scim-system.json",
        "secrets/scim-system.json",
        "events/team.json",
        "secrets/team.json",
        "not-read.json",
    ]
    assert ["logs", "api-1", "-n", "scim-system", "-c", "main", "--tail=7", "--previous"] in played.calls
    assert [one["message"] for one in json.loads(found.files["events/team.json"])] == [
        "ScimToken of ada@example.com"
    ]
    assert json.loads(found.files["checks.json"])[0]["outcome"] == "passed"
    assert found.unread == []


def test_values_of_secrets_are_kept_apart_and_do_not_come_out(played: PlayedKubectl) -> None:
    _usual(played)
    found = _collect(played)
    assert {PLAIN.encode(), b"hunter2", b"db.internal:5432"} <= set(found.values)
    assert b"https://scim.example.com/scim/v2" not in found.values
    assert "hunter2" not in str(found.files)
    _, redactor = build(found.files, found.values)
    assert redactor.people == 2
    assert redactor.secrets > 0


def test_what_may_not_be_read_is_named_and_the_scimtokens_own_secret_is_tried_by_name(
    played: PlayedKubectl,
) -> None:
    for kind in ("secrets", "deployments.apps", "logs"):
        played.answer(kind, err=FORBIDDEN.format(kind), code=1)
    _usual(played)
    found = _collect(played, "entra", "mine")
    assert PLAIN.encode() in found.values
    assert ["get", "secret", "entra-scim-token", "-o", "json", "-n", "team"] in played.calls
    assert ["get", "secret", "entra-scim-token", "-o", "json", "-n", "mine"] not in played.calls
    unread = json.loads(found.files["not-read.json"])
    assert [one["what"] for one in unread] == [
        "deployments.apps",
        "logs/scim-system/api-1/main.log",
        "logs/scim-system/api-1/main.previous.log",
        "Secrets in mine",
        "Secrets in team",
    ]
    assert all("forbidden" in one["why"] for one in unread)
    assert [
        "get",
        "pods",
        "-o",
        "json",
        "-n",
        "mine",
        "-l",
        "app.kubernetes.io/part-of=scim-operator",
    ] in played.calls


def test_logs_are_read_of_one_installation_alone(played: PlayedKubectl) -> None:
    bindings = [{"subjects": [{"kind": "ServiceAccount", "namespace": place}]} for place in ("one", "two")]
    played.answer("clusterrolebindings", out={"items": bindings})
    _usual(played)
    found = _collect(played)
    assert not any(name.startswith(("logs/", "installation/")) for name in found.files)
    assert [one["what"] for one in found.unread] == ["the installation"]
