"""One soak: the stack comes up, everybody asks, everything is measured every few seconds, and the series are judged."""

import asyncio
import collections
import contextlib
import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import asyncpg

from inpods import ROOT, build_images
from localcluster.node import Node
from localcluster.node.layout import SERVICE_CIDR
from soak.probes import MIB, database_sizes, processes, values_of
from soak.series import Allowance, Point, Verdict, judged, table
from soak.traffic import Credentials, Entra, Follower, Tally
from support.example_pod import ExamplePod
from support.pods import Pods
from support.pods_postgresql import database_for_pods

Say = Callable[[str], None]
TAG: Final = "soak"
NAMESPACE: Final = "soak"
COMPONENTS: Final = ("operator", "api", "deliver")
LIFE: Final = {"lifetime": "120s", "rotateBefore": "60s"}
"""A rotation every minute, and a minute in which the one before is accepted too."""
RATE: Final = {"requestsPerSecond": 2000, "burst": 4000}
TENANTS: Final = ("entra", "sales", "research")
READER: Final = "reader"
"""Follows the first tenant's changes."""
QUICK: Final = {
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "checkpoint_timeout": "60s",
    "autovacuum_naptime": "10s",
}
"""So that the sizes that PostgreSQL's log and tables come to are reached within minutes."""
MEASURE_SECONDS: Final = 5.0
TELL_SECONDS: Final = 60.0
WARM_UP_SHARE: Final = 0.2
MOST_WARM_UP: Final = 900.0
"""Seconds until Python's memory has its size: everything was imported and asked for once."""
ALLOWED: Final[Mapping[str, Allowance]] = {
    "memory": Allowance(2.0, 0.02),
    "descriptors": Allowance(5.0),
    "table": Allowance(1.0, 0.05),
    "WAL": Allowance(16.0, 0.05),
    "connections": Allowance(4.0),
    "change": Allowance(16.0, 0.05),
}
"""First word of a series' name -> what it may grow by in all, however long it takes."""


@dataclasses.dataclass(frozen=True)
class Soak:
    """What came of it."""

    minutes: float
    rotations: int
    plays: int
    followed: int
    answers: Mapping[int, int]
    rejected: int
    wrong: list[str]
    restarts: list[str]
    verdicts: list[Verdict]

    @property
    def is_good(self) -> bool:
        """Nobody was rejected, nothing restarted, and everything is flat."""
        return not self.wrong and not self.restarts and all(one.is_flat for one in self.verdicts)

    def report(self) -> str:
        """For people, in Markdown."""
        facts = {
            "minutes": f"{self.minutes:.0f}",
            "rotations": self.rotations,
            "requests": sum(self.answers.values()),
            "plays of all of Entra's cycles": self.plays,
            "changes that the follower heard of": self.followed,
            "**rejected**": f"**{self.rejected}**",
            "5xx or no answer": sum(n for status, n in self.answers.items() if status >= 500 or not status),
            "pods that restarted": len(self.restarts),
        }
        lines = ["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in facts.items())]
        return "\n".join([*lines, "", table(self.verdicts), *self.wrong, *self.restarts])


def soak(seconds: float, say: Say) -> Soak:
    """Run it, for so long after everything is up.

    Raises:
        ClusterError: this machine can't be a node, or the stack does not come up.
    """
    ran_before = Node.is_running()
    node = Node.up(say)
    try:
        say("building the images of operator and API")
        build_images(node, ROOT, TAG)
        with _stack(node, say) as (pods, database):
            return _Run(pods, database, say).go(seconds)
    finally:
        if not ran_before:
            node.down()


@contextlib.contextmanager
def _stack(node: Node, say: Say) -> Iterator[tuple[Pods, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as directory,
        database_for_pods(QUICK, on_disk=True) as database,
    ):
        values = database.values(receivers=[{"podSelector": {}}], receiverPorts=[8000])
        values["webhooks"] = {"enabled": True, "allowHttp": True, "allowedNetworks": [SERVICE_CIDR]}
        pods = Pods(node, NAMESPACE, Path(directory), values)
        try:
            database.give(pods)
            say("helm upgrade --install: two operators, two API pods, one that delivers, PostgreSQL")
            pods.install(ROOT, TAG)
            for name in TENANTS:
                pods.apply_token(name, tenant=name, rateLimit=RATE, **LIFE)
            pods.apply_token(READER, tenant=TENANTS[0], access="ReadOnly", **LIFE)
            ExamplePod(pods, f"localhost/scim-api:{TAG}", "webhook").apply()
            yield pods, database.server.url_of("scim")
        finally:
            pods.remove()


class _Run:
    """Everybody who asks, and what is measured meanwhile."""

    def __init__(self, pods: Pods, database: str, say: Say) -> None:
        self._pods, self._database, self._say = pods, database, say
        self._tally, self._credentials = Tally(), Credentials()
        self._series: dict[tuple[str, str], list[Point]] = collections.defaultdict(list)
        self._uids: dict[str, str] = {}

    def go(self, seconds: float) -> Soak:
        self._look_at_secrets()
        endpoint = self._pods.secret(TENANTS[0])["endpoint"]
        entras = [
            Entra(name, endpoint, self._pods.authority, self._credentials, self._tally) for name in TENANTS
        ]
        follower = Follower(READER, self._pods.authority, self._credentials, self._tally)
        self._uids = self._running()
        stop = threading.Event()
        askers: list[Entra | Follower] = [*entras, follower]
        threads = [threading.Thread(target=one.run, args=(stop,), daemon=True) for one in askers]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        try:
            asyncio.run(self._measure(began, seconds))
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        return Soak(
            minutes=(time.monotonic() - began) / 60,
            rotations=self._credentials.rotations,
            plays=sum(one.plays for one in entras),
            followed=follower.changes,
            answers=dict(self._tally.answers),
            rejected=self._tally.rejected,
            wrong=self._tally.wrong,
            restarts=self._restarts(),
            verdicts=[
                judged(
                    name, unit, points, min(seconds * WARM_UP_SHARE, MOST_WARM_UP), ALLOWED[name.split()[0]]
                )
                for (name, unit), points in sorted(self._series.items())
            ],
        )

    def _running(self) -> dict[str, str]:
        """uid -> name of the pods that are measured."""
        return {
            pod["metadata"]["uid"]: pod["metadata"]["name"]
            for component in COMPONENTS
            for pod in self._pods.pods(component)
        }

    def _restarts(self) -> list[str]:
        now = self._running()
        gone = [f"{name} is gone" for uid, name in self._uids.items() if uid not in now]
        return gone + [
            f"{pod['metadata']['name']} restarted {status['restartCount']} times"
            for component in COMPONENTS
            for pod in self._pods.pods(component)
            for status in pod["status"]["containerStatuses"]
            if status["restartCount"]
        ]

    def _look_at_secrets(self) -> None:
        for name in (*TENANTS, READER):
            self._credentials.saw(name, self._pods.secret(name)["token"])

    async def _measure(self, began: float, seconds: float) -> None:
        told = 0.0
        connection = await asyncpg.connect(self._database)
        try:
            while (at := time.monotonic() - began) < seconds:
                await asyncio.to_thread(self._look_at_secrets)
                self._note_processes(at)
                for name, unit, value in values_of(await database_sizes(connection)):
                    self._series[name, unit].append((at, value))
                if at - told >= TELL_SECONDS or not told:
                    told = at
                    self._tell(at, seconds)
                await asyncio.sleep(MEASURE_SECONDS)
        finally:
            await connection.close()

    def _note_processes(self, at: float) -> None:
        for uid, found in processes(self._uids).items():
            name = self._uids[uid]
            if found:
                self._series[f"memory of {name}", "MiB"].append(
                    (at, sum(one.resident for one in found) / MIB)
                )
                self._series[f"descriptors of {name}", ""].append((at, sum(one.descriptors for one in found)))

    def _tell(self, at: float, seconds: float) -> None:
        memory = {name: points[-1][1] for (name, unit), points in self._series.items() if unit == "MiB"}
        shown = ", ".join(
            f"{name.split('-', 1)[-1]} {memory[name]:.0f}" for name in memory if "memory" in name
        )
        self._say(
            f"{at / 60:.0f} of {seconds / 60:.0f} min: {self._tally.answers.total()} requests,"
            f" {self._credentials.rotations} rotations, {self._tally.rejected} rejected,"
            f" {len(self._tally.wrong)} wrong; MiB: {shown}"
        )
