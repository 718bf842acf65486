"""Many ScimTokens: how long until all are issued, what they cost at rest, at a restart, and all due at once.

Run by ``make bench-scale`` (COUNT=10000). Everything is real, on this machine alone: etcd, kube-apiserver,
operator and API share its processors. What the operator asks of Kubernetes is counted by kube-apiserver
itself, in its own metrics.
"""

import argparse
import asyncio
import dataclasses
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bench.time_to_secret import context
from demo.processes import Process, spawn
from localcluster import ControlPlane
from support.stack import Stack, running

GOAL_ISSUE_SECONDS = 240.0
"""Of ten thousand; as long for all to be rotated that are due at once."""
GOAL_RESTART_SECONDS = 30.0
GOAL_IDLE_CPU = 0.02
GOAL_IDLE_BYTES = 200 * 1024 * 1024
CREATORS = 8
IDLE_SECONDS = 60.0
STORM_BEFORE = 600
"""rotateBefore in seconds, for the storm: the shortest that leaves ten thousand of them time on two cores."""
_PATH = "/apis/scim-operator.io/v1alpha1/namespaces/default/scimtokens"
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
RESOURCES = ("scimtokens", "secrets", "events", "namespaces")


def requests(plane: ControlPlane) -> Counter[tuple[str, str]]:
    """How often each verb was asked of each resource, since kube-apiserver began."""
    found: Counter[tuple[str, str]] = Counter()
    for labels, number in _REQUESTS.findall(plane.kubectl("get", "--raw", "/metrics").stdout):
        label = dict(_LABEL.findall(labels))
        if label["resource"] in RESOURCES:
            found[label["verb"], label["resource"]] += int(float(number))
    return found


def resident(process: Process) -> int:
    """Resident memory in bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_time(plane: ControlPlane, stack: Stack) -> Counter[str]:
    """Milliseconds of processor time that each program has used so far, and this one, which creates and waits.

    What it takes for a ScimToken does not depend on how much else the machine has to do; how long it takes does.
    """
    pids = {**plane.pids(), "operator": stack.operators[-1].pid, "this benchmark": os.getpid()}
    if stack.api is not None:
        pids["SCIM API"] = stack.api.pid
    return Counter({name: round(1000 * cpu_seconds(pid)) for name, pid in pids.items()})


def per_scimtoken(asked: Counter[tuple[str, str]], count: int) -> dict[str, float]:
    """How often each was asked of Kubernetes for one ScimToken, but for its own creation."""
    return {
        f"{verb} {resource}": round(number / count, 2)
        for (verb, resource), number in sorted(asked.items())
        if (verb, resource) != ("POST", "scimtokens")
    }


def each(spent: Counter[str], count: int) -> str:
    """Milliseconds for each ScimToken, by program."""
    return ", ".join(f"{name} {number / count:.1f}" for name, number in spent.most_common())


def known(process: Process) -> Counter[str]:
    """ScimTokens by state, as the operator's metrics tell."""
    url = process.ready_url.replace("/readyz", "/metrics")
    text = httpx.get(url, trust_env=False, timeout=30).text
    rows = re.findall(r'^scim_operator_scimtokens\{state="(\w+)"\} ([0-9.e+]+)$', text, re.MULTILINE)
    return Counter({state: int(float(number)) for state, number in rows})


def settle(process: Process) -> None:
    """Wait until the operator has looked at all that events called for: a Secret's event follows its write."""
    print("  waiting until nothing is left to be looked at", flush=True)
    while True:
        before = done(process)
        time.sleep(5)
        if done(process) == before:
            return


def done(process: Process) -> float:
    """How many looks the operator has taken, by its metrics."""
    url = process.ready_url.replace("/readyz", "/metrics")
    text = httpx.get(url, trust_env=False, timeout=30).text
    return sum(map(float, re.findall(r"^scim_operator_reconcile_total\S* ([0-9.e+]+)$", text, re.MULTILINE)))


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """All ScimTokens, in pages."""
    items, more = list[dict[str, Any]](), ""
    while True:
        answer = (await client.get(_PATH, params={"limit": 500, "continue": more})).raise_for_status().json()
        items += answer["items"]
        more = answer["metadata"].get("continue", "")
        if not more:
            return items


async def rotate_all(plane: ControlPlane, stack: Stack, count: int) -> "Storm":
    """Make all due at the same moment, the operator's start.

    While no operator runs, ``lifetime`` is made so short that each token ought to have been replaced by now.

    """
    stack.operators[-1].stop()
    async with httpx.AsyncClient(
        base_url=plane.url, verify=context(plane), trust_env=False, timeout=60
    ) as client:
        before = {item["metadata"]["name"]: active(item) for item in await listed(client)}
        newest = max(datetime.fromisoformat(token["issuedAt"]) for token in before.values())
        names = iter(before)
        spec = {"spec": {"lifetime": f"{2 * STORM_BEFORE}s", "rotateBefore": f"{STORM_BEFORE}s"}}

        async def some() -> None:
            for name in names:
                answer = await client.patch(
                    f"{_PATH}/{name}", json=spec, headers={"Content-Type": "application/merge-patch+json"}
                )
                answer.raise_for_status()

        await asyncio.gather(*(some() for _ in range(CREATORS)))
        while (left := (newest - datetime.now(UTC)).total_seconds() + STORM_BEFORE) > 0:
            print(f"\r  all are due in {left:.0f} s ", end="", flush=True)
            await asyncio.sleep(min(left, 5))
        due, began, before_all = datetime.now(UTC), time.monotonic(), requests(plane)
        operator = stack.start_operator()
        used = processor_time(plane, stack)
        while True:
            looks = await asyncio.to_thread(done, operator)
            passed = time.monotonic() - began
            print(f"\r  {looks:.0f} of {count} looked at, {passed:.0f} s ", end="", flush=True)
            if passed > 2 * STORM_BEFORE:
                raise SystemExit("the storm does not end")
            if looks >= count:  # a list of all of them is work for kube-apiserver: not before it may be over
                tokens = {item["metadata"]["name"]: active(item) for item in await listed(client)}
                if all(token["id"] != before[name]["id"] for name, token in tokens.items()):
                    break
            await asyncio.sleep(5)
    last = max(datetime.fromisoformat(token["issuedAt"]) for token in tokens.values())
    print()
    took, spent = time.monotonic() - began, processor_time(plane, stack) - used
    return Storm(took, (last - due).total_seconds(), requests(plane) - before_all, spent)


@dataclasses.dataclass(frozen=True)
class Storm:
    """All were due at the same moment.

    Attributes:
        took: seconds until all were rotated.
        late: the longest that one was rotated after it was due, in seconds.
        asked: of Kubernetes.
        spent: processor time in milliseconds, by program.
    """

    took: float
    late: float
    asked: Counter[tuple[str, str]]
    spent: Counter[str]


def active(item: dict[str, Any]) -> dict[str, Any]:
    """The token that the Secret shows, as the status tells."""
    return next(token for token in item["status"]["tokens"] if token["state"] == "Active")


async def create(
    plane: ControlPlane, count: int, spec: Callable[[int], dict[str, Any]] = lambda _number: {}
) -> None:
    """Apply so many ScimTokens, some at once, each with the spec of its number."""
    numbers = iter(range(count))
    async with httpx.AsyncClient(
        base_url=plane.url, verify=context(plane), trust_env=False, timeout=60
    ) as client:

        async def some() -> None:
            for number in numbers:
                body = {
                    "apiVersion": "scim-operator.io/v1alpha1",
                    "kind": "ScimToken",
                    "metadata": {"name": f"scale-{number:05}"},
                    "spec": spec(number),
                }
                (await client.post(_PATH, json=body)).raise_for_status()

        await asyncio.gather(*(some() for _ in range(CREATORS)))


def wait_known(process: Process, count: int, seconds: float) -> float:
    """Seconds until the operator knows so many as ready."""
    began = time.monotonic()
    while (ready := known(process)["ready"]) < count:
        if time.monotonic() - began > seconds:
            raise SystemExit(f"after {seconds:.0f} s {ready} of {count} are ready: {dict(known(process))}")
        print(f"\r  {ready} of {count} ready, {time.monotonic() - began:.0f} s ", end="", flush=True)
        time.sleep(1)
    print()
    return time.monotonic() - began


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--no-storm", action="store_true", help="leave out the last part, which takes long")
    arguments = parser.parse_args()
    count = arguments.count
    print("starting Kubernetes, operator and API", flush=True)
    with (
        ControlPlane.start() as plane,
        tempfile.TemporaryDirectory() as directory,
        running(Stack(plane, Path(directory), spawn=spawn)) as stack,
    ):
        nothing, idle_before = requests(plane), processor_time(plane, stack)
        began = time.monotonic()
        asyncio.run(create(plane, count))
        print(f"  {count} ScimTokens created in {time.monotonic() - began:.0f} s", flush=True)
        operator = stack.operators[-1]
        wait_known(operator, count, 10 * GOAL_ISSUE_SECONDS)
        issued, spent = time.monotonic() - began, processor_time(plane, stack) - idle_before
        settle(operator)
        per_token = per_scimtoken(requests(plane) - nothing, count)
        used = cpu_seconds(operator.pid)
        time.sleep(IDLE_SECONDS)
        idle, memory = (cpu_seconds(operator.pid) - used) / IDLE_SECONDS, resident(operator)
        operator.stop()
        before = requests(plane)
        began = time.monotonic()
        again = stack.start_operator()
        wait_known(again, count, 4 * GOAL_RESTART_SECONDS)
        restarted = time.monotonic() - began
        time.sleep(5)
        asked = requests(plane) - before
        storm = None if arguments.no_storm else asyncio.run(rotate_all(plane, stack, count))
        peak = resident(stack.operators[-1])
    writes = {
        f"{verb} {resource}": number
        for (verb, resource), number in asked.items()
        if verb not in {"GET", "LIST", "WATCH"}
    }
    figures = [
        (f"{count} issued", f"{issued:.0f} s", issued < GOAL_ISSUE_SECONDS * max(count, 1000) / 10_000 + 30),
        ("at rest, of a core", f"{idle:.1%}", idle < GOAL_IDLE_CPU),
        ("at rest, memory", f"{memory / 1024**2:.0f} MiB", memory < GOAL_IDLE_BYTES),
        ("restart until all are known", f"{restarted:.1f} s", restarted < GOAL_RESTART_SECONDS),
        ("writes at a restart", str(writes or "none"), not writes),
    ]
    if storm is not None:
        last = f"the last {storm.late:.0f} s after it was due (rotateBefore: {STORM_BEFORE} s)"
        took = f"{storm.took:.0f} s, {last}"
        in_time = storm.late < STORM_BEFORE and storm.took < GOAL_ISSUE_SECONDS
        figures.append((f"{count} due at once, all rotated", took, in_time))
        figures.append(("memory after that", f"{peak / 1024**2:.0f} MiB", peak < GOAL_IDLE_BYTES))
    for name, figure, good in figures:
        print(f"{'ok    ' if good else 'MISSED'} {name}: {figure}")
    print(f"       asked for each ScimToken that was issued: {per_token}")
    print(f"       processor time for each that was issued, ms: {each(spent, count)}")
    if storm is not None:
        print(f"       asked for each that was rotated at once: {per_scimtoken(storm.asked, count)}")
        print(f"       processor time for each of these, ms: {each(storm.spent, count)}")
    print(f"       asked at a restart: {dict(sorted(asked.items()))}")
    return 0 if all(good for _, _, good in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
