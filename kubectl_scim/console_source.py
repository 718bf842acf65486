"""The console's ``Source`` by the caller's kubectl: what it shows is what the caller may read.

What a page needs that nobody has opened yet is not imported.
"""

import contextlib
import importlib.metadata
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

from kubectl_scim import portal
from kubectl_scim.console_directory import Directories, translated
from kubectl_scim.custom_object import items
from kubectl_scim.kubectl import Kubectl, KubectlError, error_of
from kubectl_scim.scimtoken import KIND, Credential, ScimToken
from kubectl_scim.text import moment
from scim_console import model

_NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
"""What an object can be called (RFC 1123); nothing that kubectl would take for a flag."""
_LOOK: Final = 0.5
"""Seconds within which a watch sees that nobody looks any more."""


def context_of(kubectl: Kubectl) -> str:
    """How the cluster is called, for people; ``--context`` is heeded."""
    with contextlib.suppress(KubectlError):
        found = kubectl.run("config", "view", "--minify", "-o", "jsonpath={.current-context}").strip()
        return found or "this cluster"
    return "this cluster"


class ClusterSource:
    """ScimTokens of a cluster.

    Args:
        kubectl: with the caller's rights.
        context: how the cluster is called.
        namespace: whose ScimTokens; None: those of all.
        installation: namespace of the installation; None: it is searched for.
        say: told when people are read over the network, and why.
        now: the clock.
    """

    noun = "ScimToken"
    apply: str | None
    doctor: str | None

    def __init__(
        self,
        kubectl: Kubectl,
        context: str,
        namespace: str | None,
        installation: str | None,
        say: Callable[[str], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.place = f"{context} · {namespace or 'all namespaces'}"
        where = "" if namespace is None else f" -n {namespace}"
        self.apply = kubectl.suggested(f"kubectl apply{where} -f -")
        self.doctor = kubectl.suggested(f"kubectl scim doctor{where}")
        self._kubectl, self._namespace, self._installation, self._now = kubectl, namespace, installation, now
        self._where = ("-A",) if namespace is None else ("-n", namespace)
        self._directories = Directories(kubectl, installation, say)

    def close(self) -> None:
        """End what people are read through."""
        self._directories.close()

    def tokens(self) -> Sequence[model.Token]:
        """All of them."""
        with translated(self._kubectl):
            found = self._kubectl.list(KIND, *self._where)
        return [self._told(ScimToken(body)) for body in found]

    def token(self, namespace: str, name: str) -> model.Token:
        """One of them."""
        return self._told(self._read(namespace, name))

    def fields(self, namespace: str, name: str) -> Sequence[model.Field]:
        """What to paste where, from the Secret."""
        token = self._read(namespace, name)
        with translated(self._kubectl):
            secret = self._kubectl.get("secret", token.secret_name, "-n", token.namespace)
        try:
            found = portal.fields(token.auth_type, secret)
        except KeyError as missing:
            raise model.Missing(
                self._kubectl.suggested(
                    f"Secret {token.secret_name} has no {missing.args[0]} yet: "
                    f"kubectl scim status {token.name} -n {token.namespace}"
                )
            ) from None
        return [model.Field(one.name, one.value, one.is_secret) for one in found]

    def events(self, namespace: str, name: str) -> Sequence[model.Event]:
        """What Kubernetes remembers, the newest first."""
        self._check(namespace, name)
        about = f"involvedObject.kind=ScimToken,involvedObject.name={name}"
        with translated(self._kubectl):
            found = self._kubectl.list("events", "-n", namespace, "--field-selector", about)
        events = [event_of(one) for one in found]
        return sorted(events, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)

    def directory(self, namespace: str, name: str) -> AbstractContextManager[model.Directory]:
        """The tenant's people; what leads to them stays open until ``close``."""
        token = self._read(namespace, name)
        return contextlib.nullcontext(self._directories.of(token))

    def checks(self) -> Iterator[model.Check]:
        """What ``kubectl scim doctor`` checks, of each namespace with ScimTokens."""
        from kubectl_scim.doctor import ask_endpoint
        from kubectl_scim.doctor.run import Doctor, suggested

        release = importlib.metadata.version("scim-operator")
        namespaces = [self._namespace] if self._namespace is not None else self._namespaces()
        seen: set[model.Check] = set()
        for namespace in namespaces:
            doctor = Doctor(
                self._kubectl,
                namespace,
                None,
                release,
                lambda url: ask_endpoint.ask(url, release),
                self._installation,
            )
            for check in doctor.checks():
                if check not in seen:  # of the installation, which all of them share
                    seen.add(check)
                    yield suggested(self._kubectl, check)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Something each time that a ScimToken may have changed, until ``stop`` is set or the API server ends the watch."""
        with translated(self._kubectl):
            process = self._kubectl.start("get", KIND, *self._where, "--watch", "-o", "name")
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            assert process.stderr is not None  # noqa: S101
            ended = threading.Event()

            def end() -> None:
                while not ended.is_set() and not stop.wait(_LOOK):
                    pass
                process.kill()

            threading.Thread(target=end, daemon=True, name="console-kubectl").start()
            try:
                for _ in process.stdout:
                    yield None
                if process.wait() and not stop.is_set():
                    raise error_of(process.stderr.read())
            finally:
                ended.set()
                process.kill()
                process.communicate()

    def _told(self, token: ScimToken) -> model.Token:
        return token_of(token, self._now(), self._kubectl.suggested)

    def _namespaces(self) -> Sequence[str]:
        return sorted({one.namespace for one in self.tokens()}) or [self._kubectl.namespace()]

    def _read(self, namespace: str, name: str) -> ScimToken:
        self._check(namespace, name)
        with translated(self._kubectl):
            return ScimToken(self._kubectl.get(KIND, name, "-n", namespace))

    def _check(self, namespace: str, name: str) -> None:
        """Raises ``Missing``: nothing can be called so, or it is in another namespace than is looked at."""
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            raise model.Missing("nothing in Kubernetes is called so")
        if self._namespace not in {None, namespace}:
            raise model.Missing(
                f"the console looks at namespace {self._namespace}; start it with -n {namespace}, or with -A for all"
            )


def token_of(
    token: ScimToken, now: datetime, suggested: Callable[[str], str] = lambda command: command
) -> model.Token:
    """A ScimToken as the console has it.

    Args:
        token: which.
        now: the time.
        suggested: a command as whoever looks has to type it.
    """
    status = token.status
    since = {
        str(one.get("type")): moment(one.get("lastTransitionTime")) for one in items(status.get("conditions"))
    }
    return model.Token(
        namespace=token.namespace,
        name=token.name,
        tenant=token.tenant,
        auth_type=token.auth_type,
        is_read_only=token.is_read_only,
        is_suspended=token.is_suspended,
        secret_name=token.secret_name,
        endpoint=str(status["endpoint"]) if status.get("endpoint") else None,
        next_rotation=moment(status.get("nextRotation")),
        credentials=_credentials(token),
        conditions=[
            model.Condition(one.type, one.status, one.reason, one.message, since.get(one.type))
            for one in token.conditions
        ],
        problems=[
            model.Problem(one.severity, one.subject, one.message, one.command and suggested(one.command))
            for one in token.problems(now)
        ],
        entra=status["entra"] if isinstance(status.get("entra"), Mapping) else {},
        auth_name=portal.AUTHENTICATION.get(token.auth_type),
        form=portal.names(token.auth_type),
    )


def event_of(body: Mapping[str, Any]) -> model.Event:
    """An Event as the console has it; of both APIs, which share their objects."""
    series = body.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        body.get("lastTimestamp"),
        body.get("eventTime"),
        body.get("firstTimestamp"),
    )
    return model.Event(
        next((at for at in map(moment, times) if at is not None), None),
        str(body.get("type", "Normal")),
        str(body.get("reason", "")),
        str(body.get("message", "")),
        int(series.get("count") or body.get("count") or 1),
    )


def _credentials(token: ScimToken) -> Sequence[model.Credential]:
    return [
        model.Credential(
            id=one.id,
            kind=one.kind,
            state=one.state,
            issued_at=one.issued_at,
            superseded_at=_superseded(one, token),
            ends_at=one.expires_at,
            last_used_at=one.last_used_at,
            last_inspected_at=one.last_inspected_at,
        )
        for one in token.credentials
    ]


def _superseded(one: Credential, token: ScimToken) -> datetime | None:
    """When the next one was issued: the status says which is in the Secret, and not since when."""
    if one.state == "Active" or one.issued_at is None:
        return None
    later = [
        other.issued_at for other in token.credentials if other.issued_at and other.issued_at > one.issued_at
    ]
    return min(later, default=None)
