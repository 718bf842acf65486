"""The whole product as real processes on a real kube-apiserver, for tests and benchmarks.

One ``Stack`` is one installation: its own namespace for the operator, its own database, one API process
and one operator process with its ServiceAccount's credentials. Every part can be killed and started again
on the same address.
"""

import base64
import contextlib
import dataclasses
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from demo.processes import (
    ADMIN_KEYS_CONFIG_MAP,
    Api,
    ConfigMapMirror,
    Process,
    Spawn,
    start_api,
    start_operator,
)
from localcluster import ClusterError, ControlPlane
from localcluster.ports import free_port
from support import forked, plain_http
from support.cluster import admin_client

ROOT = Path(__file__).resolve().parents[2]
OPERATOR_NAMESPACE = "scim-system"
TEST_SETTINGS: Final = {
    "SCIM_OPERATOR_LOG_LEVEL": "debug",
    # A test asks for one rotation after another.
    "SCIM_OPERATOR_REQUESTED_ROTATION_SECONDS": "0",
}


class NotInTime(AssertionError):
    """Something that must happen did not; the message shows what was there instead."""


def until(
    what: str, holds: Callable[[], Any], seconds: float = 30.0, shown: Callable[[], object] = lambda: ""
) -> Any:
    """Poll until ``holds()`` is truthy and return it.

    A field that it looks for and that is not there yet (``KeyError``) is waited for too: a status may be empty.
    """
    deadline, pause = time.monotonic() + seconds, 0.05
    while True:
        missing: KeyError | None = None
        try:
            found = holds()
        except KeyError as error:
            found, missing = None, error
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {seconds:g} s: {what}\n{shown()}") from missing
        # Most questions start a kubectl, which takes the time of a core that what is waited for needs.
        time.sleep(pause)
        pause = min(0.4, pause * 1.25)


def condition_of(item: Mapping[str, Any], kind: str = "Ready") -> dict[str, Any]:
    """One of a ScimToken's conditions; empty when it has none yet."""
    conditions = item.get("status", {}).get("conditions", [])
    found: dict[str, Any] = next((one for one in conditions if one["type"] == kind), {})
    return found


@dataclasses.dataclass
class Stack:
    """API and operator against one control plane."""

    control_plane: ControlPlane
    directory: Path
    database_url: str | None = None
    operator_settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tls_dir: Path | None = None
    """Where the Secret with the API's certificate is mounted; operator and API talk TLS then."""
    api_settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    spawn: Spawn = forked.spawn
    """What starts both; ``demo.processes.spawn`` for what measures a start, or a process's memory."""

    def __post_init__(self) -> None:
        self.keys = self.directory / "admin-keys"
        self._port, self._internal_port = free_port(), free_port()
        self._operator_port = None if self.tls_dir is None else free_port()
        self.api: Api | None = None
        self.operators: list[Process] = []
        self._usual: list[Process] = []
        self._mirror: ConfigMapMirror | None = None
        self._kubeconfig: Path | None = None

    # -- Kubernetes ---------------------------------------------------------------------------------
    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Run kubectl as administrator; its output."""
        done: subprocess.CompletedProcess[str] = self.control_plane.kubectl(*arguments, input=input)
        return done.stdout

    def apply(self, namespace: str, name: str, **spec: Any) -> None:
        """``kubectl apply`` of a ScimToken."""
        manifest = {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def object(self, namespace: str, name: str) -> dict[str, Any]:
        """The ScimToken as it is."""
        path = f"/apis/scim-operator.io/v1alpha1/namespaces/{namespace}/scimtokens/{name}"
        found = self.read(path)
        if found is None:
            raise ClusterError(f"there is no {path}")
        return found

    def read(self, path: str) -> dict[str, Any] | None:
        """An object as the administrator sees it, None when there is none; without a kubectl, for what is polled."""
        try:
            try:
                answer = self._admin.get(path)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                answer = self._admin.get(path)  # A connection that was kept is gone with the one who kept it.
        except httpx.TransportError as error:
            raise ClusterError(f"no answer from {path}: {error!r}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise ClusterError(f"{path}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    @functools.cached_property
    def _admin(self) -> httpx.Client:
        return admin_client(self.control_plane)

    def condition(self, namespace: str, name: str, kind: str = "Ready") -> dict[str, Any]:
        """One of its conditions; empty when it has none yet."""
        return condition_of(self.object(namespace, name), kind)

    def wait_ready(self, namespace: str, name: str, seconds: float = 30.0) -> dict[str, str]:
        """Wait for Ready=True of the present generation, and until the status tells of what the Secret holds.

        Ready says nothing of a rotation that an annotation asked for: it is no new generation, and the Secret is
        written before the status.

        Returns:
            The Secret's data.
        """

        secret: dict[str, str] = {}

        def ready() -> bool:
            item = self.object(namespace, name)
            condition, generation = condition_of(item), item["metadata"]["generation"]
            if (condition.get("status"), condition.get("observedGeneration")) != ("True", generation):
                return False
            secret.clear()
            secret.update(self.secret(namespace, f"{name}-scim-token"))
            held = {secret[key] for key in ("token-id", "client-secret-id") if key in secret}
            active = {one["id"] for one in item["status"].get("tokens", []) if one["state"] == "Active"}
            return held <= active

        until(f"{namespace}/{name} is Ready", ready, seconds, lambda: self.story(namespace, name))
        return secret

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        """A Secret's data, decoded; empty when there is none, or no answer."""
        data: dict[str, str] = {}
        with contextlib.suppress(ClusterError):
            found = self.read(f"/api/v1/namespaces/{namespace}/secrets/{name}") or {}
            data = found.get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def story(self, namespace: str, name: str) -> str:
        """What a person would look at when something is wrong."""
        status = self.object(namespace, name).get("status")
        logs = [
            f"--- {process.name}\n" + "\n".join(process.log_text().splitlines()[-25:])
            for process in (*self.operators, *([self.api] if self.api else []))
        ]
        return json.dumps(status, indent=1) + "\n" + "\n".join(logs)

    # -- processes ----------------------------------------------------------------------------------
    def start_api(self, *, wait: bool = True) -> Api:
        """Start the API, on the same ports each time."""
        self.api = start_api(
            self.directory,
            admin_keys_dir=self.keys,
            database_url=self.database_url,
            port=self._port,
            internal_port=self._internal_port,
            operator_port=self._operator_port,
            operator_tls_dir=self.tls_dir,
            environment={"SCIM_API_LOG_LEVEL": "debug", **self.api_settings},
            by=self.spawn,
        )
        if wait:
            self.api.wait_ready()
        return self.api

    @property
    def scim_url(self) -> str:
        """The SCIM base URL."""
        return f"http://127.0.0.1:{self._port}/scim/v2"

    @property
    def api_database_url(self) -> str:
        """The API's database."""
        return self.database_url or f"sqlite:///{self.directory / 'scim.db'}"

    @property
    def internal_url(self) -> str:
        """The API's internal port."""
        return f"http://127.0.0.1:{self._internal_port}"

    @property
    def admin_url(self) -> str:
        """Where the operator finds the admin API."""
        port = self._operator_port
        return self.internal_url if port is None else f"https://127.0.0.1:{port}"

    def start_operator(
        self,
        *,
        command: str = "run",
        crash_at: str | None = None,
        freeze_by: Path | None = None,
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Process:
        """Start an operator with its ServiceAccount's credentials.

        Args:
            command: of ``scim-operator``.
            crash_at: a step at which it is killed.
            freeze_by: a file that may come to name a step, at which it is stopped until a SIGCONT.
            environment: more settings.
            wait: until it is ready.
        """
        if self._kubeconfig is None:
            self._kubeconfig = self.control_plane.service_account_kubeconfig(
                OPERATOR_NAMESPACE, "scim-operator"
            )
        program: Sequence[str] = (sys.executable, "-m", "scim_operator.cli", command)
        if crash_at is not None:
            program = (sys.executable, str(ROOT / "tests/support/crashing_operator.py"), crash_at)
        if freeze_by is not None:
            program = (sys.executable, str(ROOT / "tests/support/freezing_operator.py"), str(freeze_by))
        operator = start_operator(
            self.directory,
            kubeconfig=self._kubeconfig,
            scim_url=self.scim_url,
            admin_url=self.admin_url,
            namespace=OPERATOR_NAMESPACE,
            name=f"scim-operator-{len(self.operators)}",
            argv=program,
            environment={**self._settings(), **self.operator_settings, **(environment or {})},
            by=self.spawn,
        )
        self.operators.append(operator)
        if command == "run" and crash_at is None and freeze_by is None and not environment:
            self._usual.append(operator)
        if wait:
            operator.wait_ready()
        return operator

    def stop_operators(self) -> None:
        """Stop every operator."""
        for operator in self.operators:
            if operator.running:
                operator.stop()

    def have_the_usual_operator(self) -> None:
        """One operator runs, and as ``start`` has it."""
        running = [operator for operator in self.operators if operator.running]
        if len(running) != 1 or running[0] not in self._usual:
            self.stop_operators()
            self.start_operator()

    def _settings(self) -> dict[str, str]:
        tls = {
            "SCIM_OPERATOR_API_TLS_SECRET": "scim-operator-api-tls",
            "SCIM_OPERATOR_SCIM_URL": f"{self.admin_url}/scim/v2",
        }
        return {**TEST_SETTINGS, **(tls if self.tls_dir is not None else {})}

    def start(self, before_the_api: Callable[[], Any] = lambda: None) -> None:
        """Apply CRD and RBAC, start operator and API, as an installation does."""
        self.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        self.kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        self.control_plane.wait_established("scimtokens.scim-operator.io")
        self.control_plane.wait_established("scimwebhooks.scim-operator.io")
        keys = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps/{ADMIN_KEYS_CONFIG_MAP}"
        self._mirror = ConfigMapMirror(functools.partial(self.read, keys), self.keys)
        self._mirror.start()
        self.start_operator(wait=False)
        self._mirror.wait()
        before_the_api()
        self.start_api()
        self.operators[-1].wait_ready()

    def stop(self) -> None:
        """Stop every process."""
        for process in (*self.operators, *([self.api] if self.api else [])):
            if process.running:
                process.stop()
        if self._mirror is not None:
            self._mirror.stop()
        self._admin.close()

    # -- SCIM ---------------------------------------------------------------------------------------
    def sign_in(self, secret: Mapping[str, str], client_secret: str | None = None) -> httpx.Response:
        """Ask the token endpoint with a Secret's client id and client secret, as Entra does with "Header"."""
        with plain_http.client(timeout=10) as client:
            return client.post(
                secret["token-endpoint"],
                data={"grant_type": "client_credentials"},
                auth=(secret["client-id"], client_secret or secret["client-secret"]),
            )

    def ask(self, token: str) -> int:
        """Entra's Test Connection with a token; the status it got."""
        with plain_http.client(timeout=10) as client:
            answer = client.get(
                f"{self.scim_url}/Users",
                params={"filter": 'userName eq "nobody"'},
                headers={"authorization": f"Bearer {token}"},
            )
        return answer.status_code


@contextlib.contextmanager
def running(stack: Stack, before_the_api: Callable[[], object] = lambda: None) -> Iterator[Stack]:
    """Start it, and stop whatever runs in the end."""
    try:
        stack.start(before_the_api)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def stack(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One installation for the session; a test that breaks a part mends it."""
    directory = tmp_path_factory.mktemp("stack")
    settings = {
        "SCIM_OPERATOR_RESYNC_SECONDS": "2",
        "SCIM_OPERATOR_WEBHOOK_CHECK_SECONDS": "1",
        "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3",
        "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
        "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
        "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.2",
        # One test after the other deletes its namespace here.
        "SCIM_OPERATOR_DELETION_LIMIT_COUNT": "1000",
    }
    with running(Stack(control_plane, directory, operator_settings=settings)) as stack:
        yield stack


@pytest.fixture
def usual_afterwards(stack: Stack) -> Iterator[Stack]:
    """Whatever the test does with operators, the usual one runs afterwards."""
    yield stack
    stack.have_the_usual_operator()


@pytest.fixture
def alone(usual_afterwards: Stack) -> Stack:
    """No operator runs but the one the test starts; afterwards the usual one does."""
    usual_afterwards.stop_operators()
    return usual_afterwards
