"""The console's source by kubectl: what it asks, what it makes of the answers, and which right is missing."""

import base64
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubectl_scim.console_source import ClusterSource, context_of, event_of
from kubectl_scim.kubectl import Kubectl
from scim_console import model
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import NOW, condition, credential, scimtoken

DENIED = 'Error from server (Forbidden): secrets "entra-scim-token" is forbidden: User "dev" cannot get resource "secrets"'
SECRET = {
    "data": {
        key: base64.b64encode(value).decode()
        for key, value in (("endpoint", b"https://x"), ("token", b"sct_1"))
    }
}


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


def of(
    played: PlayedKubectl, namespace: str | None = "team", *, real: bool = False, flags: tuple[str, ...] = ()
) -> ClusterSource:
    kubectl = Kubectl(flags, str(played.program)) if real else played.in_process()
    return ClusterSource(kubectl, "kind", namespace, None, print, lambda: NOW)


def test_all_of_a_namespace_or_of_all_are_listed(played: PlayedKubectl) -> None:
    played.answer("scimtokens.scim-operator.io", out={"items": [scimtoken()]})
    source, everything = of(played), of(played, None)
    assert [one.name for one in source.tokens()] == ["entra"]
    assert [one.name for one in everything.tokens()] == ["entra"]
    assert [call[4:] for call in played.calls] == [["-n", "team"], ["-A"]]
    assert (source.place, everything.place) == ("kind · team", "kind · all namespaces")


def test_a_scimtoken_is_told_with_its_problems_and_its_form_and_without_its_secret(
    played: PlayedKubectl,
) -> None:
    body = scimtoken(
        {
            **condition("Ready", "False", "SecretNotOwned", "another's"),
            "lastTransitionTime": "2026-11-30T10:00:00Z",
        },
        credentials=(
            credential("new", lastInspectedAt="2026-11-30T11:00:00Z"),
            credential("old", "Superseded", issuedAt="2026-09-01T12:00:00Z"),
        ),
        endpoint="https://x",
        entra={"jobID": "j"},
    )
    played.answer("scimtokens.scim-operator.io", out=body)
    token = of(played).token("team", "entra")
    assert token.problems[0].subject == "Ready: SecretNotOwned"
    assert token.conditions[0].since == datetime(2026, 11, 30, 10, tzinfo=UTC)
    assert token.form == ["Tenant URL", "Secret Token"]
    assert token.auth_name == "Bearer authentication"
    assert (token.endpoint, token.entra) == ("https://x", {"jobID": "j"})
    new, old = token.credentials
    assert (new.superseded_at, old.superseded_at) == (None, new.issued_at)
    assert new.last_inspected_at == datetime(2026, 11, 30, 11, tzinfo=UTC)
    assert not any("secret" in call for call in played.calls)


@pytest.mark.parametrize(
    "body", [{"metadata": {"name": "x", "namespace": "team"}}, scimtoken(entra=3, endpoint=None)]
)
def test_a_status_that_lacks_something_is_no_error(played: PlayedKubectl, body: object) -> None:
    played.answer("scimtokens.scim-operator.io", out=body)
    assert of(played).token("team", "x").entra == {}


def test_fields_are_read_from_the_secret(played: PlayedKubectl) -> None:
    played.answer("secret", out=SECRET)
    played.answer("scimtokens.scim-operator.io", out=scimtoken())
    fields = of(played).fields("team", "entra")
    assert [(one.name, one.value, one.is_secret) for one in fields] == [
        ("Tenant URL", "https://x", False),
        ("Secret Token", "sct_1", True),
    ]


def test_a_missing_right_is_named_with_who_can_give_it(played: PlayedKubectl) -> None:
    played.answer("secret", err=DENIED, code=1)
    played.answer("scimtokens.scim-operator.io", out=scimtoken())
    with pytest.raises(model.Denied, match=r'User "dev" cannot get resource "secrets"\. Whoever administers'):
        of(played).fields("team", "entra")


def test_a_secret_without_a_token_yet_is_told_with_where_to_look(played: PlayedKubectl) -> None:
    played.answer("secret", out={"data": {"endpoint": "aHR0cHM6Ly94"}})
    played.answer("scimtokens.scim-operator.io", out=scimtoken())
    with pytest.raises(model.Missing, match="has no token yet: kubectl scim status entra -n team"):
        of(played).fields("team", "entra")


def test_a_cluster_that_is_gone_and_a_token_that_is_not_there_are_told(played: PlayedKubectl) -> None:
    played.answer("x", err='Error from server (NotFound): scimtokens "x" not found', code=1)
    played.answer("get", err="The connection to the server was refused", code=1)
    with pytest.raises(model.Missing, match="not found"):
        of(played).token("team", "x")
    with pytest.raises(model.Unreachable, match="was refused"):
        of(played).tokens()


@pytest.mark.parametrize("call", ["token", "fields", "events", "directory"])
@pytest.mark.parametrize(
    ("namespace", "name"),
    [("team", "--kubeconfig=x"), ("-A", "entra"), ("team", ""), ("team", "a b"), ("team", "a/b"), ("team", "x,y=z"), ("other", "entra")],
)  # fmt: skip
def test_what_cannot_be_a_name_or_is_of_another_namespace_never_reaches_kubectl(
    played: PlayedKubectl, call: str, namespace: str, name: str
) -> None:
    with pytest.raises(model.Missing):
        getattr(of(played), call)(namespace, name)
    assert played.calls == []


def test_commands_to_copy_act_where_the_console_looks(played: PlayedKubectl) -> None:
    played.answer("secret", out={"data": {}})
    played.answer("scimtokens.scim-operator.io", out=scimtoken(condition("Ready", "False", "SecretNotOwned")))
    source = of(played, real=True, flags=("--context=there",))
    assert source.apply == "kubectl apply --context=there -n team -f -"
    assert source.doctor == "kubectl scim doctor --context=there -n team"
    command = source.token("team", "entra").problems[0].command
    assert command == "kubectl get --context=there secret entra-scim-token -n team --show-labels"
    with pytest.raises(model.Missing, match="kubectl scim status --context=there entra -n team"):
        source.fields("team", "entra")


def test_events_are_the_scimtokens_own_the_newest_first(played: PlayedKubectl) -> None:
    old = {
        "reason": "Old",
        "type": "Normal",
        "message": "m",
        "lastTimestamp": "2026-11-30T10:00:00Z",
        "count": 4,
    }
    new = {"reason": "New", "type": "Warning", "message": "m", "eventTime": "2026-11-30T11:00:00.123456Z"}
    played.answer("events", out={"items": [{"reason": "Timeless"}, old, new]})
    found = of(played).events("team", "entra")
    assert [(one.reason, one.count) for one in found] == [("New", 1), ("Old", 4), ("Timeless", 1)]
    assert played.calls[0][-1] == "involvedObject.kind=ScimToken,involvedObject.name=entra"


def test_an_event_that_repeats_has_its_last_time_and_count() -> None:
    body = {
        "series": {"count": 7, "lastObservedTime": "2026-11-30T11:30:00.000000Z"},
        "eventTime": "2026-11-30T11:00:00.000000Z",
    }
    found = event_of(body)
    assert (found.count, found.at) == (7, datetime(2026, 11, 30, 11, 30, tzinfo=UTC))


def test_each_line_of_the_watch_is_a_change_until_it_is_stopped(played: PlayedKubectl) -> None:
    played.answer(
        "--watch", out="scimtoken.scim-operator.io/entra\nscimtoken.scim-operator.io/b\n", hang=True
    )
    stop = threading.Event()
    changes = of(played, real=True).watch(stop)
    assert [next(changes), next(changes)] == [None, None]
    stop.set()
    assert list(changes) == []
    assert played.calls == [["get", "scimtokens.scim-operator.io", "-n", "team", "--watch", "-o", "name"]]


@pytest.mark.parametrize(("err", "error"), [("refused", model.Unreachable), (DENIED, model.Denied)])
def test_a_watch_that_fails_says_why_and_one_that_the_server_ends_does_not(
    played: PlayedKubectl, err: str, error: type[Exception]
) -> None:
    played.answer("--watch", "-A", err=err, code=1)
    played.answer("--watch", out="a\n")
    with pytest.raises(error):
        list(of(played, None, real=True).watch(threading.Event()))
    assert list(of(played, real=True).watch(threading.Event())) == [None]


def test_checks_are_doctors_each_once(played: PlayedKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Doctor:
        def __init__(self, _kubectl: Kubectl, namespace: str, *_rest: object) -> None:
            self.namespace = namespace
            asked.append(namespace)

        def checks(self) -> list[model.Check]:
            return [model.Check("clock", "passed", "", None), model.Check(self.namespace, "passed", "", None)]

    monkeypatch.setattr("kubectl_scim.doctor.run.Doctor", Doctor)
    other = {**scimtoken(), "metadata": {"name": "b", "namespace": "alpha"}}
    played.answer("scimtokens.scim-operator.io", out={"items": [scimtoken(), other, scimtoken()]})
    assert [one.name for one in of(played, None).checks()] == ["clock", "alpha", "team"]
    assert [one.name for one in of(played).checks()] == ["clock", "team"]
    assert asked == ["alpha", "team", "team"]


def test_the_clusters_name_is_the_contexts_where_there_is_one(played: PlayedKubectl, tmp_path: Path) -> None:
    assert context_of(Kubectl((), str(tmp_path / "none"))) == "this cluster"
    played.answer("config", out="kind-kind\n")
    assert context_of(played.in_process()) == "kind-kind"
