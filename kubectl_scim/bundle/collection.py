"""What goes into a support archive, read by kubectl with the caller's rights: texts by the names of their files."""

import base64
import binascii
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from kubectl_scim.bundle import reduction
from kubectl_scim.kubectl import Kubectl, KubectlError, Object
from kubectl_scim.port_forward import installation_namespace
from kubectl_scim.scimtoken import KIND, PART_OF, ScimToken
from kubectl_scim.scimwebhook import WEBHOOK_KIND
from scim_console.model import Check

LINES: Final = 1000
"""Of each log, the last ones."""
_PUBLIC: Final = frozenset(
    {
        "endpoint",
        "token-endpoint",
        "client-id",
        "expires-at",
        "token-id",
        "client-secret-id",
        "signing-secret-id",
    }
)
"""Keys of our Secrets whose values are no secrets."""
_ABOUT: Final = """A support archive of kubectl scim.

It has the checks of kubectl scim doctor, ScimTokens and ScimWebhooks, the Deployments and pods of the installation, Events,
and the end of each log. Secrets are listed with their keys and ages alone. Secrets, e-mail addresses and names of people were
replaced; a person has the same number in all files. Look at it before you send it.
"""


@dataclasses.dataclass(slots=True)
class Collection:
    """What there is for an archive."""

    files: dict[str, str] = dataclasses.field(default_factory=dict)
    values: list[bytes] = dataclasses.field(default_factory=list, repr=False)
    """Of the Secrets that the caller may read."""
    unread: list[dict[str, str]] = dataclasses.field(default_factory=list)
    """What is not there, and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Collector:
    """Reads it.

    Attributes:
        kubectl: of the caller.
        namespace: whose ScimTokens.
        name: of one of them; None: all.
        installation: where the chart is installed; None: what the cluster says.
        lines: of each log.
        say: told what is being read.
    """

    kubectl: Kubectl
    namespace: str
    name: str | None
    installation: str | None
    lines: int
    say: Callable[[str], object]

    def collect(self, checks: Sequence[Check], now: datetime) -> Collection:
        """Everything that the caller may read.

        Args:
            checks: of the doctor.
            now: for ages.
        """
        found = Collection({"README.txt": _ABOUT})
        found.files["checks.json"] = _text([dataclasses.asdict(one) for one in checks])
        tokens = self._scimtokens(found)
        places = {self.namespace}
        installation = self._namespace(found)
        if installation is not None:
            self._installation(found, installation)
            places.add(installation)
        for place in sorted(places):
            self._events(found, place)
            self._secrets(found, place, tokens if place == self.namespace else [], now)
        found.files["not-read.json"] = _text(found.unread)
        return found

    def _scimtokens(self, found: Collection) -> Sequence[ScimToken]:
        self.say("ScimTokens and ScimWebhooks")
        place = ("-n", self.namespace)
        name = self.name
        one = self._read(
            found,
            "ScimTokens",
            lambda: [self.kubectl.get(KIND, name, *place)] if name else self.kubectl.list(KIND, *place),
        )
        webhooks = self._read(found, "ScimWebhooks", lambda: self.kubectl.list(WEBHOOK_KIND, *place))
        found.files["scimtokens.json"] = _text([reduction.reduced(body) for body in one])
        found.files["scimwebhooks.json"] = _text([reduction.reduced(body) for body in webhooks])
        return [ScimToken(body) for body in one]

    def _namespace(self, found: Collection) -> str | None:
        try:
            return self.installation or installation_namespace(self.kubectl)
        except KubectlError as error:
            found.unread.append({"what": "the installation", "why": str(error)})
            return None

    def _installation(self, found: Collection, place: str) -> None:
        self.say("the installation")
        for kind in ("deployments.apps", "pods"):
            bodies = self._read(
                found,
                kind,
                lambda kind=kind: self.kubectl.list(kind, "-n", place, "-l", PART_OF),  # type: ignore[misc]
            )
            found.files[f"installation/{kind.partition('.')[0]}.json"] = _text(
                [reduction.reduced(body) for body in bodies]
            )
            if kind == "pods":
                for body in bodies:
                    self._logs(found, body)

    def _logs(self, found: Collection, pod: Object) -> None:
        place, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for container, has_ended in reduction.containers(pod):
            for more, ending in (((), ""), *(((("--previous",), ".previous"),) if has_ended else ())):
                self.say(f"log of {name}")
                file = f"logs/{place}/{name}/{container}{ending}.log"
                try:
                    found.files[file] = self.kubectl.run(
                        "logs", name, "-n", place, "-c", container, f"--tail={self.lines}", *more
                    )
                except KubectlError as error:
                    found.unread.append({"what": file, "why": str(error)})

    def _events(self, found: Collection, place: str) -> None:
        self.say(f"Events in {place}")
        bodies = self._read(found, f"Events in {place}", lambda: self.kubectl.list("events", "-n", place))
        ours = [
            one
            for one in bodies
            if place != self.namespace
            or (one.get("involvedObject") or {}).get("kind") in {"ScimToken", "ScimWebhook"}
        ]
        found.files[f"events/{place}.json"] = _text([reduction.event(one) for one in ours])

    def _secrets(self, found: Collection, place: str, tokens: Sequence[ScimToken], now: datetime) -> None:
        self.say(f"Secrets in {place}")
        try:
            bodies = list(self.kubectl.list("secrets", "-n", place))
        except KubectlError as error:
            found.unread.append({"what": f"Secrets in {place}", "why": str(error)})
            bodies = [
                body
                for token in tokens
                for body in self._read(
                    found,
                    f"Secret {token.secret_name}",
                    lambda token=token: [self.kubectl.get("secret", token.secret_name, "-n", place)],  # type: ignore[misc]
                )
            ]
        found.files[f"secrets/{place}.json"] = _text([reduction.secret(one, now) for one in bodies])
        found.values += [value for body in bodies for value in _values(body)]

    def _read(self, found: Collection, what: str, call: Callable[[], Sequence[Object]]) -> Sequence[Object]:
        try:
            return call()
        except KubectlError as error:
            found.unread.append({"what": what, "why": str(error)})
            return []


def _values(secret: Object) -> Iterator[bytes]:
    """What is secret of a Secret, as it is and as kubectl sends it."""
    owners = {one.get("kind") for one in (secret.get("metadata") or {}).get("ownerReferences") or ()}
    public = _PUBLIC if owners & {"ScimToken", "ScimWebhook"} else frozenset()
    for key, value in (secret.get("data") or {}).items():
        if key in public or not isinstance(value, str):
            continue
        yield value.encode()
        try:
            yield base64.b64decode(value, validate=True)
        except binascii.Error:
            continue


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
