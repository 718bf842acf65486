"""Many ScimTokens with ``spec.entra``: first hand-over, rotations, rest, restart, outages of Graph.

Run by ``make bench-hand-over`` (COUNT=1000). Everything is real, on this machine alone, but Microsoft, which is played in
a process of its own: etcd, kube-apiserver, operator, API and played Microsoft share its processors.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from bench.hand_over_watch import Seen, by_second, watching
from bench.played_microsoft import Customers, PlayedMicrosoft, is_save, operation
from bench.scale import cpu_seconds, create, resident
from bench.time_to_secret import context
from demo.processes import spawn
from entra_standin.graph import Fault
from entra_standin.graph.request_log import LoggedRequest
from localcluster import ControlPlane
from support.hand_over import ACCOUNT, grant_tokens, issuer_of, keys_of
from support.stack import Stack, running

GOAL_SECONDS = 10.0
DEFAULT_PACE = 20
CHECK_SECONDS = 300
REST_SECONDS = 60
RESTART_SECONDS = 120
AFTER_SECONDS = 60
ROTATED_IN_OUTAGE = 20
_PATH = "/apis/scim-operator.io/v1alpha1/namespaces/default/scimtokens"
_MERGE = {"Content-Type": "application/merge-patch+json"}


class Bench:
    """One run.

    Args:
        stack: with an operator that runs.
        microsoft: what it hands over to.
        client: of kube-apiserver.
        seen: what watches have told.
        arguments: of the command line.
    """

    def __init__(
        self,
        stack: Stack,
        microsoft: PlayedMicrosoft,
        client: httpx.AsyncClient,
        seen: Seen,
        arguments: argparse.Namespace,
    ) -> None:
        self.stack, self.microsoft, self.client, self.seen = stack, microsoft, client, seen
        self.arguments, self.count = arguments, int(arguments.count)
        self.good = True
        self._turns = itertools.count()
        self._requests = itertools.count(1)

    async def run(self) -> None:
        """All parts, one after the other."""
        await self.first()
        await self.rotations()
        await self.settle()
        await self.rest()
        await self.restart()
        if self.arguments.outage:
            for fault in (Fault.UNAVAILABLE, Fault.HANGING):
                await self.outage(fault)

    async def first(self) -> None:
        """Until Entra is known to use the first token of each."""
        began = time.time()
        await create(self.stack.control_plane, self.count, self._spec)
        await self._until_used(began, self.count)
        took = time.time() - began
        asked = self.microsoft.requests()
        self.tell(f"{self.count} handed over for the first time", f"{took:.0f} s, {self.count / took:.1f}/s")
        self.tell("... requests for each", shown_counts(asked, self.count))
        self.tell("... requests per second", spread(asked, began, took))

    async def rotations(self) -> None:
        """Rotations one after the other, at a pace."""
        await self.settle()
        used = cpu_seconds(self.stack.operators[-1].pid)
        began, number = time.time(), int(self.arguments.rate * self.arguments.seconds)
        rotated = [await self._rotate_at(began + turn / self.arguments.rate) for turn in range(number)]
        await self._until_used(began, self.count, rotated)
        asked, took = self.microsoft.requests(), time.time() - began
        saved, known = self._latencies(rotated, asked)
        self.tell("rotations", f"{number} at {self.arguments.rate:g} per second")
        self.tell("... from the Secret to saved in Entra", quantiles(saved))
        self.tell("... from the Secret to known to be used", quantiles(known), good=p99(known) < GOAL_SECONDS)
        mine = {self._principal(name) for name, _ in rotated}
        self.tell(
            "... requests for each",
            shown_counts([one for one in asked if mine & set(one.path.split("/"))], number),
        )
        self.tell("... sign-ins", str(sum(operation(one) == "sign in" for one in asked)))
        self.tell("... requests per second, looks included", spread(asked, began, took))
        self.tell("... of a core", f"{(cpu_seconds(self.stack.operators[-1].pid) - used) / took:.1%}")

    async def settle(self) -> None:
        """Wait until nothing but looks is asked for."""
        self.microsoft.requests()
        while True:
            await asyncio.sleep(5)
            if all(operation(one) in ("GET jobs", "sign in") for one in self.microsoft.requests()):
                return

    async def rest(self) -> None:
        """What looks alone cost."""
        operator, began = self.stack.operators[-1], time.time()
        used = cpu_seconds(operator.pid)
        await asyncio.sleep(REST_SECONDS)
        asked, idle = self.microsoft.requests(), (cpu_seconds(operator.pid) - used) / REST_SECONDS
        self.tell(
            f"at rest, requests per second (a look each {CHECK_SECONDS} s)",
            spread(asked, began, REST_SECONDS),
        )
        self.tell("... by operation", shown_counts(asked, 1))
        self.tell("... of a core, memory", f"{idle:.1%}, {resident(operator) / 1024**2:.0f} MiB")

    async def restart(self) -> None:
        """No herd, and nothing handed over again."""
        await asyncio.to_thread(self.stack.operators[-1].stop)
        self.microsoft.requests()
        began = time.time()
        operator = await asyncio.to_thread(self.stack.start_operator)
        await asyncio.sleep(began + RESTART_SECONDS - time.time())
        asked = self.microsoft.requests()
        again = [one for one in asked if one.method != "GET" and operation(one) != "sign in"]
        self.tell(
            f"{RESTART_SECONDS} s from a restart on, requests per second",
            spread(asked, began, RESTART_SECONDS),
        )
        self.tell("... by operation", shown_counts(asked, 1), good=not again)
        counts = by_second([one.time for one in asked], began, RESTART_SECONDS)
        self.tell("... in each ten seconds", " ".join(str(sum(ten)) for ten in batched(counts, 10)))
        self.tell("... memory", f"{resident(operator) / 1024**2:.0f} MiB")

    async def outage(self, fault: Fault) -> None:
        """Graph fails for a while, in which some are rotated; then it is back."""
        self.microsoft.requests()
        began, seconds = time.time(), self.arguments.outage
        with self.microsoft.outage(fault):
            rotated = [
                await self._rotate_at(began + seconds * turn / ROTATED_IN_OUTAGE)
                for turn in range(ROTATED_IN_OUTAGE)
            ]
            await asyncio.sleep(began + seconds - time.time())
            during = self.microsoft.requests()
        back = time.time()
        rotated += [await self._rotate_at(back + turn / 2) for turn in range(ROTATED_IN_OUTAGE)]
        await self._until_used(back, self.count, rotated)
        last = time.time() - back
        await asyncio.sleep(max(0.0, back + AFTER_SECONDS - time.time()))
        after = self.microsoft.requests()
        saved, known = self._latencies(rotated[ROTATED_IN_OUTAGE:], after)
        self.tell(
            f"{seconds:g} s of Graph {fault.value}, requests per second", spread(during, began, seconds)
        )
        self.tell("... after it, requests per second", spread(after, back, AFTER_SECONDS))
        self.tell("... after it, requests", shown_counts(after, 1))
        self.tell("... after it, until all are known to be used", f"{last:.0f} s")
        self.tell("... rotated after it: saved, known to be used", f"{quantiles(saved)}; {quantiles(known)}")

    def tell(self, what: str, figure: str, *, good: bool = True) -> None:
        """Print a figure."""
        self.good = self.good and good
        print(f"{'ok    ' if good else 'MISSED'} {what}: {figure}", flush=True)

    # -- ScimTokens ---------------------------------------------------------------------------------
    def _spec(self, number: int) -> dict[str, Any]:
        tenant, principal = self.microsoft.applications[number]
        sign_in = {"clientID": self.microsoft.client_id, "serviceAccountRef": {"name": ACCOUNT}}
        return {"entra": {"tenantID": tenant, "servicePrincipalID": principal, "signIn": sign_in}}

    def _principal(self, name: str) -> str:
        return self.microsoft.applications[int(name.rpartition("-")[2])][1]

    async def _rotate_at(self, moment: float) -> tuple[str, str]:
        """Ask for a rotation then; the name, and the credential that is to be replaced."""
        await asyncio.sleep(max(0.0, moment - time.time()))
        name = f"scale-{next(self._turns) * 7 % self.count:05}"
        annotation = {"scim-operator.io/rotate": str(next(self._requests))}
        old, body = self.seen.current[name], {"metadata": {"annotations": annotation}}
        (await self.client.patch(f"{_PATH}/{name}", json=body, headers=_MERGE)).raise_for_status()
        return name, old

    async def _until_used(
        self, began: float, count: int, rotated: list[tuple[str, str]] | None = None
    ) -> None:
        """Wait until every published credential is known to be used, and these are replaced."""
        while True:
            published = [name for name, old in rotated or () if self.seen.current[name] == old]
            if not published and len(self.seen.current) == count and not self.seen.waiting:
                return
            if time.time() - began > 900:
                raise SystemExit(f"{self.seen.waiting} of {count} are still to be handed over")
            await asyncio.sleep(0.2)

    def _latencies(
        self, rotated: list[tuple[str, str]], asked: list[LoggedRequest]
    ) -> tuple[list[float], list[float]]:
        saves = {one.path.split("/")[4]: one.time for one in reversed(asked) if is_save(one)}
        saved, known = [], []
        for name, _old in rotated:
            which = name, self.seen.current[name]
            saved.append(saves[self._principal(name)] - self.seen.published[which])
            known.append(self.seen.used[which] - self.seen.published[which])
        return saved, known


def p99(taken: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(taken, n=100, method="inclusive")[98]


def quantiles(taken: list[float]) -> str:
    """p50, p99 and the longest, in seconds."""
    return f"p50 {statistics.median(taken):.2f} s, p99 {p99(taken):.2f} s, longest {max(taken):.2f} s"


def shown_counts(asked: list[LoggedRequest], by: int) -> str:
    """Requests by operation, divided by a number."""
    counts = Counter(operation(one) for one in asked)
    shown = ", ".join(f"{what} {number / by:.3g}" for what, number in sorted(counts.items()))
    return f"{len(asked) / by:.3g} ({shown})"


def spread(asked: list[LoggedRequest], began: float, seconds: float) -> str:
    """Requests per second: the mean, and the most in one second and in ten."""
    counts = by_second([one.time for one in asked], began, seconds)
    ten = max(sum(counts[at : at + 10]) for at in range(len(counts)))
    return f"{len(asked) / seconds:.2f}, at most {max(counts)} in a second, {ten} in ten"


def batched(counts: list[int], size: int) -> list[list[int]]:
    """In parts of this size."""
    return [counts[at : at + size] for at in range(0, len(counts), size)]


async def measure(stack: Stack, microsoft: PlayedMicrosoft, arguments: argparse.Namespace) -> bool:
    """All figures; whether each goal is met."""
    plane = stack.control_plane
    limits = httpx.Limits(max_connections=20)
    async with (
        httpx.AsyncClient(
            base_url=plane.url, verify=context(plane), trust_env=False, timeout=60, limits=limits
        ) as client,
        watching(client) as seen,
    ):
        bench = Bench(stack, microsoft, client, seen, arguments)
        await bench.run()
        return bench.good


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--tenants", action="store_true", help="a tenant for each, as a vendor's customers")
    parser.add_argument("--pace", type=float, default=DEFAULT_PACE, help="requests per second")
    parser.add_argument("--rate", type=float, default=2.0, help="rotations per second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of rotations")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds; 0 leaves the outages out")
    arguments = parser.parse_args()
    print("starting Kubernetes, Microsoft, operator and API", flush=True)
    with ControlPlane.start() as plane:
        customers = Customers(
            arguments.count,
            arguments.tenants,
            issuer_of(plane),
            f"system:serviceaccount:default:{ACCOUNT}",
            keys_of(plane),
        )
        with PlayedMicrosoft(customers) as microsoft, tempfile.TemporaryDirectory() as directory:
            settings = {
                "SCIM_OPERATOR_ENTRA_LOGIN_URL": microsoft.login_url,
                "SCIM_OPERATOR_ENTRA_GRAPH_URL": microsoft.graph_url,
                "SCIM_OPERATOR_ENTRA_REQUESTS_PER_SECOND": str(arguments.pace),
                "SCIM_OPERATOR_ENTRA_CHECK_SECONDS": str(CHECK_SECONDS),
                "SCIM_OPERATOR_LOG_LEVEL": "info",
            }
            with running(Stack(plane, Path(directory), operator_settings=settings, spawn=spawn)) as stack:
                stack.kubectl("create", "serviceaccount", ACCOUNT, "-n", "default")
                grant_tokens(stack, "default")
                return 0 if asyncio.run(measure(stack, microsoft, arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
