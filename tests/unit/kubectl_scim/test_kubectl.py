"""kubectl is asked, and what it says is what people are told; with a real cluster in tests/e2e/test_kubectl_scim.py."""

from pathlib import Path

import pytest

from kubectl_scim import kubectl as module
from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from support.played_kubectl import PlayedKubectl


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


@pytest.fixture
def kubectl(played: PlayedKubectl) -> Kubectl:
    return Kubectl(("--context=there",), str(played.program))


def test_each_call_has_the_callers_flags(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("get", out={"a": 1})
    assert kubectl.get("sct", "entra", "-n", "team") == {"a": 1}
    assert played.calls == [["--context=there", "get", "sct", "entra", "-o", "json", "-n", "team"]]


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("kubectl scim status a -n b: no", "kubectl scim status --context=there '--as=a b' a -n b: no"),
        ("echo x | kubectl apply -f -", "echo x | kubectl apply --context=there '--as=a b' -f -"),
        ("kubectl did not answer; install kubectl", "kubectl did not answer; install kubectl"),
    ],
)
def test_a_suggested_command_has_the_callers_flags(text: str, suggested: str) -> None:
    assert Kubectl(("--context=there", "--as=a b")).suggested(text) == suggested
    assert Kubectl().suggested(text) == text


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ('Error from server (NotFound): scimtokens "x" not found', NotFound, 'scimtokens "x" not found'),
        ('Error from server (Forbidden): secrets is forbidden: User "u"', Forbidden, 'secrets is forbidden: User "u"'),
        ('error: the server doesn\'t have a resource type "scimtokens"', KubectlError, "is the chart of scim-operator installed"),
        ("The connection to the server was refused", KubectlError, "refused"),
        ("", KubectlError, "failed without a message; try the same with kubectl -v=6"),
        (
            'E1130 03:54:02.918899    5995 memcache.go:265] "Unhandled Error" err="refused"\nThe connection was refused\n',
            KubectlError,
            "^The connection was refused$",
        ),
    ],
)  # fmt: skip
def test_what_kubectl_says_is_told(
    played: PlayedKubectl, kubectl: Kubectl, said: str, error: type[KubectlError], message: str
) -> None:
    played.answer("get", err=said, code=1)
    with pytest.raises(error, match=message.replace("(", r"\(")) as raised:
        kubectl.get("sct", "x")
    assert type(raised.value) is error


def test_a_kubectl_that_is_not_there_or_hangs_is_told(
    played: PlayedKubectl, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KubectlError, match="not installed"):
        Kubectl((), str(tmp_path / "none")).run("version")
    monkeypatch.setattr(module, "SECONDS", 0.2)
    played.answer("get", hang=True)
    with pytest.raises(KubectlError, match=r"did not answer within 0\.2 s"):
        kubectl.get("sct", "x")


@pytest.mark.parametrize(("printed", "namespace"), [("team", "team"), ("", "default")])
def test_the_namespace_is_the_contexts(
    played: PlayedKubectl, kubectl: Kubectl, printed: str, namespace: str
) -> None:
    played.answer("config", out=printed)
    assert kubectl.namespace() == namespace


def test_without_a_kubeconfig_the_namespace_is_the_usual_one(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("config", err="no such context", code=1)
    assert kubectl.namespace() == "default"


def test_in_a_pod_the_namespace_is_the_pods(
    played: PlayedKubectl, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "namespace"
    mounted.write_text("identity", encoding="utf-8")
    monkeypatch.setattr("kubectl_scim.kubectl._POD_NAMESPACE", str(mounted))
    played.answer("config", err="no such context", code=1)
    assert kubectl.namespace() == "identity"


def test_a_watch_tells_each_state_and_ends_when_it_is_told_to(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    played.answer("--watch", out='{\n    "n": {\n    }\n}\n{\n    "n": 2\n}\n', hang=True)
    found = []
    with kubectl.watching("sct", "entra") as objects:
        for body in objects:
            found.append(body)
            if len(found) == 2:
                objects.end()
    assert found == [{"n": {}}, {"n": 2}]


def test_a_watch_that_ends_by_itself_is_an_error(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("--watch", err="Error from server (Forbidden): no watch", code=1)
    with pytest.raises(Forbidden, match="no watch"), kubectl.watching("sct", "entra") as objects:
        list(objects)
