"""People for the console: opened once, and with errors that pages understand."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_scim import reading as module
from kubectl_scim.console_directory import Directories, translated
from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from kubectl_scim.scimtoken import ScimToken
from scim_console import model
from support.scimtoken_objects import scimtoken


class Reading:
    """Plays what opens a way to a tenant's people."""

    def __init__(self) -> None:
        self.opened, self.closed, self.error = list[str](), list[str](), list[Exception]()

    @contextlib.contextmanager
    def __call__(self, _kubectl: Kubectl, token: ScimToken, *_rest: Any) -> Iterator["Reading"]:
        self._fail()
        self.opened.append(token.secret_name)
        yield self
        self.closed.append(token.secret_name)

    def _fail(self, *_arguments: Any) -> str:
        for error in self.error:
            raise error
        return "asked"

    users = groups = user = group = history = _fail

    def follow(self, _stop: threading.Event) -> Iterator[str]:
        yield "change"
        self._fail()


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr(module, "reading", reading)
    return reading


def test_the_way_to_a_tenant_is_opened_once_and_ends_with_the_console(reading: Reading) -> None:
    directories = Directories(Kubectl(), None, print)
    first, other = ScimToken(scimtoken()), ScimToken(scimtoken(secretName="another"))
    assert directories.of(first) is directories.of(first)
    assert directories.of(other) is not directories.of(first)
    assert reading.opened == ["entra-scim-token", "another"]
    assert reading.closed == []
    directories.close()
    assert sorted(reading.closed) == ["another", "entra-scim-token"]


def test_what_failed_to_open_is_tried_anew(reading: Reading) -> None:
    directories = Directories(Kubectl(), None, print)
    reading.error.append(Forbidden('User "dev" cannot create resource "pods/portforward"'))
    with pytest.raises(model.Denied, match="pods/portforward"):
        directories.of(ScimToken(scimtoken()))
    reading.error.clear()
    directories.of(ScimToken(scimtoken()))
    assert len(reading.opened) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Forbidden("no right"), model.Denied),
        (NotFound("not there"), model.Missing),
        (KubectlError("gone"), model.Unreachable),
        (model.Denied("kubectl scim rotate"), model.Denied),
        (KubectlError("kubectl scim status"), model.Unreachable),
        (ValueError("no filter"), ValueError),
    ],
)
def test_errors_of_each_question_are_the_consoles(
    reading: Reading, error: Exception, told: type[Exception]
) -> None:
    directory = Directories(Kubectl(("--as=ada",)), None, print).of(ScimToken(scimtoken()))
    query = model.HistoryQuery()
    assert directory.users(None, 1, 1) == directory.groups(None, 1, 1) == directory.user("x") == "asked"  # type: ignore[comparison-overlap]
    assert directory.group("x") == directory.history(query) == "asked"  # type: ignore[comparison-overlap]
    reading.error.append(error)
    for ask in (
        lambda: directory.users(None, 1, 1),
        lambda: directory.groups(None, 1, 1),
        lambda: directory.user("x"),
        lambda: directory.group("x"),
        lambda: directory.history(query),
        lambda: list(directory.follow(threading.Event())),
    ):
        with pytest.raises(told, match=str(error)) as raised:
            ask()
        assert ("kubectl" in str(error)) is ("--as=ada" in str(raised.value))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: You must be logged in to the server (Unauthorized)", "Sign in again in a terminal"),
        ("getting credentials: exec: executable aws failed", "Sign in again in a terminal"),
        ("The connection was refused - did you specify the right host or port?", r"port\? Is the VPN up"),
        ("Unable to connect to the server: dial tcp: lookup x: no such host", r"host\. Is the VPN up"),
        ("the server doesn't have a resource type: is the chart installed?", r"installed\?$"),
    ],
)
def test_a_cluster_that_does_not_answer_is_told_with_what_to_do(said: str, told: str) -> None:
    with pytest.raises(model.Unreachable, match=told), translated(Kubectl()):
        raise KubectlError(said)
