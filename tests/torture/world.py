"""The real processes, each of which can be killed, frozen and brought back."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from demo.processes import ADMIN_KEYS_CONFIG_MAP, Api, ConfigMapMirror, Process, start_api, start_operator
from localcluster import ControlPlane, Tools
from localcluster.ports import free_port
from scim_api.store.migrate import migrate
from support import forked
from torture.balancer import Balancer
from torture.database import RESTART_SECONDS, Database, database
from torture.edits import Edits, Tokens, until
from torture.hand_over import HandOver
from torture.objects import NAMESPACE, OPERATOR_NAMESPACE, SPEC, Objects, is_ready
from torture.rules import SLACK, Token

ROOT: Final = Path(__file__).resolve().parents[2]
OPERATOR_SETTINGS: Final = {
    "SCIM_OPERATOR_REQUESTED_ROTATION_SECONDS": "0",
    "SCIM_OPERATOR_RESYNC_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "4",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "1",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.3",
}


class World:
    """One installation: two operators, two API replicas on one PostgreSQL, a control plane of its own.

    Args:
        on: what runs already.
        scimtokens: how many.
        hand_over_seed: all but the first ScimToken have an application in Entra; None: none has.
    """

    def __init__(self, on: "Ground", scimtokens: int, hand_over_seed: int | None = None) -> None:
        self.plane, self.database, self.directory = on.plane, on.database, on.directory
        self.names = tuple(f"colour-{number}" for number in range(scimtokens))
        self._keys = on.directory / "admin-keys"
        self._ports = {f"api-{n}": (free_port(), free_port()) for n in range(2)}
        self._public = Balancer({name: ports[0] for name, ports in self._ports.items()})
        self._internal = Balancer({name: ports[1] for name, ports in self._ports.items()})
        self._apis: dict[str, Api] = {}
        self._operators: dict[str, Process] = {}
        self._addresses = ("", "")
        self._kubeconfig = Path()
        self._objects = Objects(on.plane)
        self.tokens = Tokens(self._objects, self.names)
        self.edits = Edits(self._objects, self.tokens)
        self.hand_over: HandOver | None = None
        if hand_over_seed is not None:
            self.hand_over = HandOver(
                on.plane, self.names[1:], self._objects, self.tokens, seed=hand_over_seed
            )

    @property
    def replicas(self) -> dict[str, str]:
        """SCIM base URLs by name."""
        return {name: f"http://127.0.0.1:{ports[0]}/scim/v2" for name, ports in self._ports.items()}

    def all_tokens(self) -> list[tuple[Token, str]]:
        """All tokens that were ever seen, and forged ones; of those that are for Entra only what is over, since a
        credential that others use, too, does not tell who has it.
        """
        entras, now = self.hand_over.names if self.hand_over is not None else (), time.time()
        return [
            (known.token, known.plaintext)
            for known in self.tokens.known
            if known.owner not in entras or now > known.token.ends_at + SLACK
        ]

    # -- life ---------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Install, start everything, and wait for the first tokens."""
        public, internal = await self._public.start(), await self._internal.start()
        self._addresses = f"http://127.0.0.1:{public}/scim/v2", f"http://127.0.0.1:{internal}"
        await asyncio.to_thread(self._install)
        await self._objects.know_the_future()
        await asyncio.to_thread(self._apply_all)
        await self._until("the first tokens are published", self._all_published)
        if self.hand_over is not None:
            await self._until("Entra has the first ones", self.hand_over.holds_all)
            self.hand_over.run_jobs()

    def _install(self) -> None:
        kubectl = self.plane.kubectl
        kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        kubectl("create", "namespace", NAMESPACE)
        self.plane.wait_established("scimtokens.scim-operator.io")
        self._kubeconfig = self.plane.service_account_kubeconfig(OPERATOR_NAMESPACE, "scim-operator")
        if self.hand_over is not None:
            self.hand_over.start()
        keys = "get", "configmap", ADMIN_KEYS_CONFIG_MAP, "-n", OPERATOR_NAMESPACE, "-o", "json"
        mirror = ConfigMapMirror(lambda: json.loads(kubectl(*keys).stdout), self._keys)
        mirror.start()
        for number in range(2):
            self._start_operator(f"operator-{number}")
        mirror.wait(RESTART_SECONDS)
        mirror.stop()
        for name in self._ports:
            self._start_api(name)
        for process in (*self._apis.values(), *self._operators.values()):
            process.wait_ready(RESTART_SECONDS)

    def _apply_all(self) -> None:
        for name in self.names:
            manifest = {
                "apiVersion": "scim-operator.io/v1alpha1",
                "kind": "ScimToken",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": self._spec(name),
            }
            self.plane.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def _spec(self, name: str) -> dict[str, Any]:
        hand_over = self.hand_over
        return hand_over.spec(name) if hand_over is not None and name in hand_over.names else SPEC

    def _start_operator(self, name: str) -> None:
        entra = self.hand_over.environment if self.hand_over is not None else {}
        self._operators[name] = start_operator(
            self.directory,
            kubeconfig=self._kubeconfig,
            scim_url=self._addresses[0],
            admin_url=self._addresses[1],
            namespace=OPERATOR_NAMESPACE,
            name=name,
            environment={**OPERATOR_SETTINGS, **entra, "SCIM_OPERATOR_IDENTITY": name},
            by=forked.spawn,
        )

    def _start_api(self, name: str) -> None:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        self._apis[name] = start_api(
            directory,
            admin_keys_dir=self._keys,
            database_url=self.database.url,
            port=self._ports[name][0],
            internal_port=self._ports[name][1],
            by=forked.spawn,
        )

    async def stop(self) -> None:
        """End what runs."""
        if self.hand_over is not None:
            await asyncio.to_thread(self.hand_over.stop)
        await self._objects.close()
        await self._public.close()
        await self._internal.close()
        await asyncio.to_thread(self._stop_processes)

    def _stop_processes(self) -> None:
        for process in (*self._operators.values(), *self._apis.values()):
            process.signal(signal.SIGCONT)
            process.stop()

    # -- what is there --------------------------------------------------------------------------------
    async def _all_published(self) -> bool:
        await self.tokens.observe()
        return {known.owner for known in self.tokens.known} == set(self.names)

    async def settled(self) -> None:
        """Wait until every ScimToken is Ready again."""
        await self._until("every ScimToken is Ready", self._all_ready)

    async def _all_ready(self) -> bool:
        await self.tokens.observe()
        for name in self.names:
            found = await self._objects.scimtoken(name)
            if not found or not is_ready(found):
                return False
        return True

    async def _until(self, what: str, holds: Callable[[], Any]) -> None:
        await until(f"{what}; logs are in {self.directory}", holds, RESTART_SECONDS)

    # -- breaking it ----------------------------------------------------------------------------------
    async def name_of(self, target: str) -> str:
        """Which process a fault means: the leader and the standby change places."""
        if target not in {"leader", "standby"}:
            return target
        holder = await self._objects.leader()
        leader = holder if holder in self._operators else "operator-0"
        return leader if target == "leader" else next(name for name in self._operators if name != leader)

    async def kill(self, name: str, seconds: float) -> None:
        """SIGKILL, and start it again after so many seconds."""
        self._mark(name, down=True)
        await asyncio.to_thread(self._kill, name)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._restart, name)
        self._mark(name, down=False)

    async def freeze(self, names: Sequence[str], seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        async with self._frozen(names):
            await asyncio.sleep(seconds)

    async def restore(self, scimtoken: str) -> None:
        """A ScimToken comes back from a backup while no operator works."""
        async with self._frozen(tuple(self._operators)):
            await self.edits.restore(scimtoken)

    @contextlib.asynccontextmanager
    async def _frozen(self, names: Sequence[str]) -> AsyncIterator[None]:
        pids = [pid for name in names for pid in self._pids(name)]
        for name in names:
            self._mark(name, down=True)
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)
            for name in names:
                self._mark(name, down=False)

    def _mark(self, name: str, *, down: bool) -> None:
        for balancer in (self._public, self._internal):
            (balancer.down.add if down else balancer.down.discard)(name)

    def _pids(self, name: str) -> list[int]:
        if name == "postgresql":
            return self.database.primary.pids()
        return [{**self._operators, **self._apis}[name].pid]

    def _kill(self, name: str) -> None:
        match name:
            case "postgresql":
                self.database.primary.kill()
            case "kube-apiserver":
                self.plane.kill_api_server()
            case "etcd":
                self.plane.kill_etcd()
            case _:
                {**self._operators, **self._apis}[name].kill()

    def _restart(self, name: str) -> None:
        match name:
            case "postgresql":
                self.database.restart()
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


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@dataclasses.dataclass(frozen=True, slots=True)
class Ground:
    """What has to run before there can be a world: it is started without an event loop."""

    plane: ControlPlane
    database: Database
    directory: Path


@contextlib.contextmanager
def ground(tools: Tools | None = None) -> Iterator[Ground]:
    """A control plane and a PostgreSQL; they end with the block."""
    with (
        ControlPlane.start(tools) as plane,
        database() as pair,
        tempfile.TemporaryDirectory(prefix="scim-torture-") as directory,
    ):
        yield Ground(plane, pair, Path(directory))


@contextlib.asynccontextmanager
async def world(on: Ground, scimtokens: int, hand_over_seed: int | None = None) -> AsyncIterator[World]:
    """A running one with so many ScimTokens; its processes end with the block."""
    async with on.database.named():
        await migrate(on.database.url)
        made = World(on, scimtokens, hand_over_seed)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
