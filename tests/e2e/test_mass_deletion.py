"""Many ScimTokens go at once, by mistake or on purpose: their tokens are not revoked before somebody says so."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from localcluster import ControlPlane, Tools
from support import plain_http
from support.stack import OPERATOR_NAMESPACE, ROOT, Stack, running, until

QUICK = {
    "SCIM_OPERATOR_RESYNC_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.2",
}
COUNT = 12
CONFIRM = "scim-operator.io/confirm-deletion"


@pytest.fixture(scope="module")
def limited(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation with the default limit."""
    with (
        ControlPlane.start(tools) as plane,
        running(Stack(plane, tmp_path_factory.mktemp("limited"), operator_settings=QUICK)) as stack,
    ):
        yield stack


@pytest.fixture
def crowd(limited: Stack, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Twelve ScimTokens that are Ready, of one namespace; the token of each by name. Confirmed away afterwards."""
    namespace = f"crowd-{time.monotonic_ns()}"
    limited.kubectl("create", "namespace", namespace)
    names = [f"{namespace}-{number:02}" for number in range(COUNT)]
    create(limited, namespace, names, getattr(request, "param", "Retain"))
    tokens = {name: limited.wait_ready(namespace, name)["token"] for name in names}
    yield tokens
    limited.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false", "--ignore-not-found")
    until("all are gone, as is confirmed", lambda: confirmed_and_refused(limited, tokens), 60)


def confirmed_and_refused(stack: Stack, tokens: Mapping[str, str]) -> bool:
    confirm(stack)
    return answers(stack, list(tokens.values())) == {401}


def create(stack: Stack, namespace: str, names: Sequence[str], policy: str = "Retain") -> None:
    items = [
        {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"deletionPolicy": policy},
        }
        for name in names
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    until(
        "they are taken",
        lambda: stack.control_plane.kubectl("apply", "-f", "-", input=body, check=False).returncode == 0,
    )


def install_crd(stack: Stack) -> None:
    def applied() -> bool:
        crd = str(ROOT / "crds")
        done = stack.control_plane.kubectl("apply", "--server-side", "-f", crd, check=False)
        return done.returncode == 0

    until("the CRD is taken", applied)
    stack.control_plane.wait_established("scimtokens.scim-operator.io")


def held(stack: Stack) -> float:
    """The metric of the running operators."""
    total = 0.0
    for operator in stack.operators:
        if operator.running:
            url = operator.ready_url.replace("/readyz", "/metrics")
            for line in plain_http.get(url).text.splitlines():
                if line.startswith("scim_operator_revocations_held "):
                    total += float(line.split()[1])
    return total


def confirm(stack: Stack) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stack.kubectl(
        "annotate", "lease", "scim-operator", "-n", OPERATOR_NAMESPACE, "--overwrite", f"{CONFIRM}={now}"
    )


def answers(stack: Stack, tokens: Sequence[str]) -> set[int]:
    return {stack.ask(token) for token in tokens}


def log(stack: Stack) -> str:
    """The last lines of the operator that was started last."""
    return "\n".join(stack.operators[-1].log_text().splitlines()[-15:])


def test_a_deleted_crd_revokes_nothing_and_what_is_created_again_goes_on(
    limited: Stack, crowd: dict[str, str]
) -> None:
    namespace = next(iter(crowd)).rsplit("-", 1)[0]
    limited.kubectl("delete", "crd", "scimtokens.scim-operator.io")
    until("all are held", lambda: held(limited) == COUNT, 30, lambda: log(limited))
    assert answers(limited, list(crowd.values())) == {200}
    text = limited.operators[-1].log_text()
    assert "deletions held" in text
    assert "kubectl annotate lease/scim-operator -n scim-system" in text

    install_crd(limited)
    again = list(crowd)[:8]
    create(limited, namespace, again)
    for name in again:
        limited.wait_ready(namespace, name, 60)
    assert answers(limited, list(crowd.values())) == {200}
    assert held(limited) == COUNT - len(again)

    confirm(limited)
    gone = [token for name, token in crowd.items() if name not in again]
    until("those that did not come back end", lambda: answers(limited, gone) == {401}, 15)
    assert answers(limited, [crowd[name] for name in again]) == {200}
    assert held(limited) == 0


def test_a_new_leader_holds_them_too(limited: Stack, crowd: dict[str, str]) -> None:
    namespace = next(iter(crowd)).rsplit("-", 1)[0]
    limited.operators[-1].stop()
    limited.kubectl("delete", "sct", "--all", "-n", namespace)
    limited.start_operator()
    until("all are held", lambda: held(limited) == COUNT, 30, lambda: log(limited))
    limited.operators[-1].kill()
    limited.start_operator()
    until("all are held by the next one", lambda: held(limited) == COUNT, 30, lambda: log(limited))
    assert answers(limited, list(crowd.values())) == {200}


@pytest.mark.parametrize("crowd", ["Delete"], indirect=True)
def test_those_that_the_finalizer_keeps_say_so_and_an_annotation_lets_one_go(
    limited: Stack, crowd: dict[str, str]
) -> None:
    namespace = next(iter(crowd)).rsplit("-", 1)[0]
    first, *others = crowd
    limited.kubectl("delete", "namespace", namespace, "--wait=false")
    ready = until(
        "the condition says so",
        lambda: (found := limited.condition(namespace, first)).get("reason") == "DeletionHeld" and found,
        shown=lambda: limited.story(namespace, first),
    )
    assert f"{CONFIRM}=true" in ready["message"]
    limited.kubectl("annotate", "sct", first, "-n", namespace, f"{CONFIRM}=true")
    until("it ends", lambda: limited.ask(crowd[first]) == 401, 10)
    assert answers(limited, [crowd[name] for name in others]) == {200}


def test_a_single_one_and_a_few_are_revoked_within_seconds(limited: Stack, crowd: dict[str, str]) -> None:
    namespace = next(iter(crowd)).rsplit("-", 1)[0]
    few = list(crowd)[:4]
    limited.kubectl("delete", "sct", *few, "-n", namespace)
    until("they end", lambda: answers(limited, [crowd[name] for name in few]) == {401}, 10)
    assert held(limited) == 0


def test_when_the_time_is_over_they_are_revoked(limited: Stack, crowd: dict[str, str]) -> None:
    namespace = next(iter(crowd)).rsplit("-", 1)[0]
    limited.operators[-1].stop()
    limited.start_operator(environment={"SCIM_OPERATOR_DELETION_HOLD_SECONDS": "15"})
    limited.kubectl("delete", "sct", "--all", "-n", namespace)
    until("all are held", lambda: held(limited) == COUNT, 12, lambda: log(limited))
    assert answers(limited, list(crowd.values())) == {200}
    until("all end", lambda: answers(limited, list(crowd.values())) == {401}, 30)
    limited.operators[-1].stop()
    limited.start_operator()
