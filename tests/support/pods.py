"""The chart in real pods: requests through the cluster's ingress, and what came of them."""

import base64
import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from demo.console import until
from entra_standin.__main__ import play
from entra_standin.client import EntraClient
from entra_standin.dialects import Dialect
from inpods import CERTIFICATE, GATEWAY_HOST, HOST, ROOT, Release, ThroughIngress, build_images
from localcluster.errors import ClusterError
from localcluster.node import Node

__all__ = [
    "CERTIFICATE",
    "GATEWAY_HOST",
    "HOST",
    "QUICK",
    "ROOT",
    "THIS",
    "Pods",
    "ThroughIngress",
    "Traffic",
    "build_images",
    "commit_before",
    "installed",
]
SECONDS: Final = 120.0
THIS: Final = "this"
"""Tag of this checkout's images in the node."""
QUICK: Final = {"requestsPerSecond": 1000, "burst": 2000}
"""A rate that no test comes to."""


def commit_before(into: Path) -> Path:
    """The checkout of the commit before this one, or of this one where that has no chart yet.

    ``SCIM_TESTS_UPGRADE_FROM`` names another one, to try an upgrade from it.
    """
    for revision in (os.environ.get("SCIM_TESTS_UPGRADE_FROM", "HEAD~1"), "HEAD"):
        done = subprocess.run(
            ["git", "-C", str(ROOT), "archive", "--format=tar", revision, "--output", str(into / "tree.tar")],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            tree = into / revision
            tree.mkdir()
            subprocess.run(["tar", "xf", str(into / "tree.tar"), "-C", str(tree)], check=True)
            if (tree / "charts" / "scim-operator").exists() and (tree / "Dockerfile").exists():
                return tree
    raise AssertionError("neither this commit nor the one before can be checked out: " + done.stderr)


def _answer(client: httpx.Client, path: str) -> httpx.Response:
    """What a client that heeds refusals gets in the end: it asks again after 429, and while nobody is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        answer = client.get(path)
        if answer.status_code not in {429, 502, 503, 504} or time.monotonic() > deadline:
            return answer
        time.sleep(float(answer.headers.get("retry-after", 0.5)))


class Pods(Release):
    """A release for a test."""

    # -- ScimTokens
    def apply_token(self, name: str, **spec: Any) -> None:
        """Apply a ScimToken and wait until it is Ready."""
        body = {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(body))
        try:
            self.kubectl("wait", "--for=condition=Ready", f"sct/{name}", "--timeout=90s")
        except ClusterError as error:
            raise AssertionError(
                f"{error}\n{self.kubectl('describe', 'sct', name)}\n{self.story()}"
            ) from None

    def secret(self, name: str) -> dict[str, str]:
        """The Secret's entries as text."""
        data = self.get("secret", f"{name}-scim-token")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """A condition of a ScimToken; empty when it is not there."""
        found = [item for item in self.get("sct", name)["status"]["conditions"] if item["type"] == kind]
        return found[0] if found else {}

    def rotate(self, name: str) -> tuple[str, str]:
        """Ask for a rotation and wait for it; the old token and the new one."""
        old = self.secret(name)["token"]
        self.kubectl("annotate", "sct", name, f"scim-operator.io/rotate={time.time()}", "--overwrite")
        # A rotation that is asked for waits until the last one is a minute old.
        until("the Secret holds a new token", lambda: self.secret(name)["token"] != old, 120)
        return old, self.secret(name)["token"]

    # -- pods
    def pods(self, component: str) -> list[dict[str, Any]]:
        """Those that are not on their way out."""
        items = self.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def leader(self) -> str:
        """The pod that leads, as the Lease says."""
        holder = str(self.get("lease", "scim-operator")["spec"]["holderIdentity"] or "")
        return next(
            (
                pod["metadata"]["name"]
                for pod in self.pods("operator")
                if holder.startswith(pod["metadata"]["name"])
            ),
            "",
        )

    def wait_rolled_out(self) -> None:
        """Until both Deployments have what they want."""
        for component in ("operator", "api"):
            names = self.kubectl(
                "get", "deploy", "-l", f"app.kubernetes.io/component={component}", "-o", "name"
            )
            for name in names.split():
                self.kubectl("rollout", "status", name, "--timeout=120s")

    # -- requests
    @contextlib.contextmanager
    def entra(self, name: str, dialect: Dialect = Dialect.CLASSIC) -> Iterator[EntraClient]:
        """Entra, with what the Secret says, through the ingress."""
        entries = self.secret(name)
        with EntraClient(
            entries["endpoint"], entries["token"], dialect, transport=ThroughIngress(self.authority)
        ) as client:
            yield client

    def play(self, name: str, dialect: Dialect = Dialect.CLASSIC) -> None:
        """Have Entra go through all its cycles. Raises ``AssertionError`` with its report when it would not take something."""
        lines: list[str] = []
        with self.entra(name, dialect) as client:
            assert play(client, lines.append), "\n".join(lines)

    def client(self, token: str) -> httpx.Client:
        """A plain client with a token."""
        return httpx.Client(
            base_url=f"https://{HOST}/scim/v2",
            headers={"authorization": f"Bearer {token}"},
            transport=ThroughIngress(self.authority),
            trust_env=False,
            timeout=10,
        )

    def test_connection(self, name: str, host: str) -> int:
        """The status of what Entra's Test Connection asks, at a host; 0 when there is no answer."""
        with self.client(self.secret(name)["token"]) as client:
            try:
                return client.get(
                    f"https://{host}/scim/v2/Users",
                    params={"filter": 'emails[type eq "work"].value eq "nobody"'},
                ).status_code
            except httpx.TransportError:
                return 0

    @contextlib.contextmanager
    def traffic(self, token: Callable[[], str]) -> "Iterator[Traffic]":
        """Requests without a pause for the length of the block, one thread reading and one writing."""
        traffic = Traffic(self, token)
        traffic.start()
        try:
            yield traffic
        finally:
            traffic.stop()


@contextlib.contextmanager
def installed(node: Node, directory: Path, namespace: str, helm: str = "helm") -> Iterator[Pods]:
    """This checkout on SQLite for the length of the block."""
    release = Pods(node, namespace, directory, {}, helm)
    release.prepare()
    release.install(ROOT, THIS)
    yield release
    release.remove()


@dataclasses.dataclass
class Traffic:
    """What came back, and what did not."""

    pods: Pods
    token: Callable[[], str]
    answers: Counter[int] = dataclasses.field(default_factory=Counter)
    failures: list[str] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    streak: int = 0
    """Answers since the last failure."""

    def start(self) -> None:
        """Begin."""
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=functools.partial(self._run, step), daemon=True)
            for step in (self._read, self._write)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, with the last requests answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def enough(self, more: int = 60) -> None:
        """Wait until so many more answers have come."""
        wanted = self.answers.total() + more
        until(f"{more} more answers", lambda: self.answers.total() + len(self.failures) >= wanted, SECONDS)

    def recovered(self, streak: int = 60) -> None:
        """Wait until so many answers in a row were good."""
        until("the service is back", lambda: self.streak >= streak, SECONDS)

    def _fail(self, what: str) -> None:
        self.failures.append(f"{time.time():.1f} {what}")
        self.streak = 0

    def _run(self, step: Callable[[httpx.Client, int], httpx.Response]) -> None:
        number = 0
        while not self._stop.is_set():
            # A new connection now and then: a load balancer that goes away is met by those alone.
            with self.pods.client(self.token()) as client:
                for _ in range(10):
                    number += 1
                    try:
                        answer = step(client, number)
                    except httpx.HTTPError as error:
                        self._fail(f"{type(error).__name__}: {error}")
                        continue
                    self.answers[answer.status_code] += 1
                    if answer.status_code >= 400:
                        self._fail(f"{answer.status_code}: {answer.text[:200]}")
                    else:
                        self.streak += 1

    @staticmethod
    def _read(client: httpx.Client, number: int) -> httpx.Response:
        return client.get(
            "/Users", params={"filter": f'emails[type eq "work"].value eq "nobody-{number}@x.example"'}
        )

    def _write(self, client: httpx.Client, number: int) -> httpx.Response:
        name = f"{id(self)}-{number}@contoso.example"
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "emails": [{"type": "work", "value": name, "primary": True}],
        }
        answer = client.post("/Users", json=body)
        if answer.status_code == 201:
            self.written.append(answer.json()["id"])
        return answer

    def lost(self, token: str) -> list[str]:
        """Writes that were acknowledged and are not there."""
        with self.pods.client(token) as client:
            return [one for one in self.written if _answer(client, f"/Users/{one}").status_code != 200]
