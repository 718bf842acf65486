"""The real processes, each of which can be killed, frozen and brought back, and what Kubernetes shows."""

import asyncio
import base64
import contextlib
import dataclasses
import os
import signal
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from demo.processes import Api, ConfigMapMirror, Process, free_port, start_api, start_operator
from localcluster import ControlPlane, Tools
from scim_api.store.migrate import migrate
from support.postgres import OwnServer, PostgresServer, fresh_database, own_server
from torture.balancer import Balancer
from torture.rules import Token

ROOT: Final = Path(__file__).resolve().parents[2]
OPERATOR_NAMESPACE: Final = "scim-system"
NAMESPACE: Final = "torture"
SPEC: Final = {
    "tenant": "colours",
    "lifetime": "60s",
    "rotateBefore": "30s",
    "rateLimit": {"requestsPerSecond": 5000, "burst": 5000},
}
OPERATOR_SETTINGS: Final = {
    "SCIM_OPERATOR_REQUESTED_ROTATION_SECONDS": "0",
    "SCIM_OPERATOR_RESYNC_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "4",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "1",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.3",
}
RESTART_SECONDS: Final = 60.0
_SCIMTOKENS: Final = f"/apis/scim-operator.io/v1alpha1/namespaces/{NAMESPACE}/scimtokens"


@dataclasses.dataclass
class Known:
    """A token of one ScimToken, with its plaintext, which stays in this process."""

    owner: str
    token: Token
    plaintext: str


class World:
    """One installation: two operators, two API replicas on one PostgreSQL, a control plane of its own."""

    def __init__(
        self, plane: ControlPlane, postgres: OwnServer, database_url: str, directory: Path, scimtokens: int
    ) -> None:
        self.plane, self._postgres, self._database_url = plane, postgres, database_url
        self.directory = directory
        self.names = tuple(f"colour-{number}" for number in range(scimtokens))
        self._keys = directory / "admin-keys"
        self._ports = {f"api-{n}": (free_port(), free_port()) for n in range(2)}
        self._public = Balancer({name: ports[0] for name, ports in self._ports.items()})
        self._internal = Balancer({name: ports[1] for name, ports in self._ports.items()})
        self._apis: dict[str, Api] = {}
        self._operators: dict[str, Process] = {}
        self._addresses = ("", "")
        self._kubeconfig = Path()
        context = ssl.create_default_context(cafile=str(plane.ca_file))
        context.load_cert_chain(plane.directory / "pki/admin.crt", plane.directory / "pki/admin.key")
        self._kube = httpx.AsyncClient(base_url=plane.url, verify=context, trust_env=False, timeout=5)
        self.known: list[Known] = []
        self._forged: set[str] = set()
        self._revoking: set[str] = set()
        self.rotations = 0

    @property
    def replicas(self) -> dict[str, str]:
        """SCIM base URLs by name."""
        return {name: f"http://127.0.0.1:{ports[0]}/scim/v2" for name, ports in self._ports.items()}

    def tokens(self) -> list[tuple[Token, str]]:
        """All tokens that were ever seen, and forged ones."""
        return [(known.token, known.plaintext) for known in self.known]

    # -- life ---------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Install, start everything, and wait for the first tokens."""
        public, internal = await self._public.start(), await self._internal.start()
        self._addresses = f"http://127.0.0.1:{public}/scim/v2", f"http://127.0.0.1:{internal}"
        await asyncio.to_thread(self._install)
        await self._until("the first tokens are published", self._all_published)

    def _install(self) -> None:
        kubectl = self.plane.kubectl
        kubectl("apply", "--server-side", "-f", str(ROOT / "crds/scimtoken.yaml"))
        kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        kubectl("create", "namespace", NAMESPACE)
        self.plane.wait_established("scimtokens.scim-operator.io")
        self._kubeconfig = self.plane.service_account_kubeconfig(OPERATOR_NAMESPACE, "scim-operator")
        mirror = ConfigMapMirror(
            lambda *arguments: kubectl(*arguments).stdout, OPERATOR_NAMESPACE, self._keys
        )
        mirror.start()
        for number in range(2):
            self._start_operator(f"operator-{number}")
        mirror.wait(RESTART_SECONDS)
        mirror.stop()
        for name in self._ports:
            self._start_api(name)
        for process in (*self._apis.values(), *self._operators.values()):
            process.wait_ready(RESTART_SECONDS)
        for name in self.names:
            self._apply(name)

    def _apply(self, name: str) -> None:
        import json

        manifest = {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": SPEC,
        }
        self.plane.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def _start_operator(self, name: str) -> None:
        self._operators[name] = start_operator(
            self.directory,
            kubeconfig=self._kubeconfig,
            scim_url=self._addresses[0],
            admin_url=self._addresses[1],
            namespace=OPERATOR_NAMESPACE,
            name=name,
            environment={**OPERATOR_SETTINGS, "SCIM_OPERATOR_IDENTITY": name},
        )

    def _start_api(self, name: str) -> None:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        self._apis[name] = start_api(
            directory,
            admin_keys_dir=self._keys,
            database_url=self._database_url,
            port=self._ports[name][0],
            internal_port=self._ports[name][1],
        )

    async def stop(self) -> None:
        """End what runs."""
        await self._kube.aclose()
        await self._public.close()
        await self._internal.close()
        await asyncio.to_thread(self._stop_processes)

    def _stop_processes(self) -> None:
        for process in (*self._operators.values(), *self._apis.values()):
            process.signal(signal.SIGCONT)
            process.stop()

    # -- what is there --------------------------------------------------------------------------------
    async def observe(self) -> None:
        """Look at each Secret once; a token that is new there counts from now on."""
        for name in self.names:
            data = await self._secret(name)
            plaintext = data.get("token", "")
            if not plaintext or plaintext in self._forged or not data.get("expires-at"):
                continue
            if any(known.plaintext == plaintext for known in self.known):
                continue
            self.rotations += any(known.owner == name for known in self.known)
            expires = datetime.fromisoformat(data["expires-at"]).timestamp()
            self.known.append(Known(name, Token(data["token-id"], time.time(), expires), plaintext))

    async def _get(self, path: str) -> dict[str, Any]:
        """An object of Kubernetes; empty when there is none, or nobody answers."""
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._kube.get(path)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        return {}

    async def _secret(self, name: str) -> dict[str, str]:
        found = await self._get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}-scim-token")
        data: dict[str, str] = found.get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    async def _all_published(self) -> bool:
        await self.observe()
        return {known.owner for known in self.known} == set(self.names)

    async def _leader(self) -> str:
        lease = await self._get(
            f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/scim-operator"
        )
        holder = lease.get("spec", {}).get("holderIdentity", "")
        return holder if holder in self._operators else "operator-0"

    async def settled(self) -> None:
        """Wait until every ScimToken is Ready again."""
        await self._until("every ScimToken is Ready", self._all_ready)

    async def _all_ready(self) -> bool:
        await self.observe()
        for name in self.names:
            found = await self._get(f"{_SCIMTOKENS}/{name}")
            conditions = found.get("status", {}).get("conditions") or []
            if not any(item["type"] == "Ready" and item["status"] == "True" for item in conditions):
                return False
        return True

    async def _until(self, what: str, holds: Callable[[], Any], seconds: float = RESTART_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not await holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:g} s: {what}; logs are in {self.directory}")
            await asyncio.sleep(0.2)

    # -- breaking it ----------------------------------------------------------------------------------
    async def name_of(self, target: str) -> str:
        """Which process a fault means: the leader and the standby change places."""
        if target not in {"leader", "standby"}:
            return target
        leader = await self._leader()
        return leader if target == "leader" else next(name for name in self._operators if name != leader)

    async def kill(self, name: str, seconds: float) -> None:
        """SIGKILL, and start it again after so many seconds."""
        self._mark(name, down=True)
        await asyncio.to_thread(self._kill, name)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._restart, name)
        self._mark(name, down=False)

    async def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        self._mark(name, down=True)
        pids = self._pids(name)
        _signal(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(pids, signal.SIGCONT)
        self._mark(name, down=False)

    def _mark(self, name: str, *, down: bool) -> None:
        for balancer in (self._public, self._internal):
            (balancer.down.add if down else balancer.down.discard)(name)

    def _pids(self, name: str) -> list[int]:
        if name == "postgresql":
            return self._postgres.pids()
        return [{**self._operators, **self._apis}[name].pid]

    def _kill(self, name: str) -> None:
        match name:
            case "postgresql":
                self._postgres.kill()
            case "kube-apiserver":
                self.plane.kill_api_server()
            case "etcd":
                self.plane.kill_etcd()
            case _:
                {**self._operators, **self._apis}[name].kill()

    def _restart(self, name: str) -> None:
        match name:
            case "postgresql":
                self._restart_postgres()
            case "kube-apiserver":
                self.plane.start_api_server()
            case "etcd":
                self.plane.start_etcd()
            case _ if name in self._apis:
                self._start_api(name)
                self._apis[name].wait_ready(RESTART_SECONDS)
            case _:
                self._start_operator(name)
                self._operators[name].wait_ready(RESTART_SECONDS)

    def _restart_postgres(self) -> None:
        """Until the processes of the killed server have noticed, they still hold its shared memory."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                self._postgres.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    # -- editing it -----------------------------------------------------------------------------------
    async def edit(self, action: str, owner: str, number: int) -> None:
        """What a person might do to one ScimToken or its Secret; what Kubernetes does not take is dropped."""
        secret = f"/api/v1/namespaces/{NAMESPACE}/secrets/{owner}-scim-token"
        with contextlib.suppress(httpx.HTTPError):
            match action:
                case "delete-secret":
                    await self._kube.delete(secret)
                case "overwrite-token":
                    await self._kube.patch(secret, **_merge({"data": {"token": self._forge(number)}}))
                case "rotate":
                    await self._annotate(owner, "rotate", str(number))
                case _:
                    await self._revoke(owner, "Superseded" if action == "revoke-superseded" else "Active")

    def _forge(self, number: int) -> str:
        """A token that nobody issued, which the traffic tries from now on; base64 as a Secret holds it."""
        plaintext = f"sct_forged{number}"
        self._forged.add(plaintext)
        self.known.append(Known("", Token(f"forged-{number}", None), plaintext))
        return base64.b64encode(plaintext.encode()).decode()

    async def _annotate(self, owner: str, what: str, value: str) -> bool:
        body = {"metadata": {"annotations": {f"scim-operator.io/{what}": value}}}
        return (await self._kube.patch(f"{_SCIMTOKENS}/{owner}", **_merge(body))).status_code == 200

    async def _revoke(self, owner: str, state: str) -> None:
        """Order the end of one token, and note when the status says that it has come."""
        listed = await self._states(owner)
        token = next(
            (
                known.token
                for known in self.known
                if listed.get(known.token.id) == state and known.token.revoke_ordered_at is None
            ),
            None,
        )
        if token is None or owner in self._revoking:  # A second order would take the place of the first.
            return
        self._revoking.add(owner)
        token.revoke_ordered_at = time.time()
        await self._annotate(owner, "revoke", token.id)

        async def is_gone() -> bool:
            now = await self._states(owner)
            return bool(now) and now.get(token.id, "Revoked") == "Revoked"

        await self._until(f"{token.id} is revoked", is_gone, 2 * RESTART_SECONDS)
        token.revoked_at = time.time()
        self._revoking.discard(owner)

    async def _states(self, owner: str) -> dict[str, str]:
        status = (await self._get(f"{_SCIMTOKENS}/{owner}")).get("status", {})
        return {item["id"]: item["state"] for item in status.get("tokens") or []}


def _merge(body: dict[str, Any]) -> dict[str, Any]:
    return {"json": body, "headers": {"content-type": "application/merge-patch+json"}}


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@dataclasses.dataclass(frozen=True, slots=True)
class Ground:
    """What has to run before there can be a world: it is started without an event loop."""

    plane: ControlPlane
    postgres: PostgresServer
    directory: Path


@contextlib.contextmanager
def ground(tools: Tools | None = None) -> Iterator[Ground]:
    """A control plane and a PostgreSQL; they end with the block."""
    with (
        ControlPlane.start(tools) as plane,
        own_server() as server,
        tempfile.TemporaryDirectory(prefix="scim-torture-") as directory,
    ):
        yield Ground(plane, server, Path(directory))


@contextlib.asynccontextmanager
async def world(on: Ground, scimtokens: int) -> AsyncIterator[World]:
    """A running one with so many ScimTokens; its processes end with the block."""
    if on.postgres.own is None:
        raise RuntimeError("the campaign needs a PostgreSQL of its own")
    async with fresh_database(on.postgres) as url:
        await migrate(url)
        made = World(on.plane, on.postgres.own, url, on.directory, scimtokens)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
