"""A process that takes part in an election and writes down, every few milliseconds, whether it may act.

Run as: python elector_process.py NAMESPACE IDENTITY FILE, with KUBECONFIG set. A test stops it with SIGSTOP.
"""

import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

from kubernetes.aio import client, config

from scim_operator.adapters.leader_election import LeaderElector
from scim_operator.planning.ports import NotLeading
from scim_operator.settings import load


async def main(namespace: str, identity: str, file: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = load(
        endpoint_url="https://scim.example.com/scim/v2", admin_url="http://unused:1", namespace=namespace,
        identity=identity, lease_duration_seconds=3, lease_renew_deadline_seconds=2, lease_renew_period_seconds=0.4,
        lease_retry_period_seconds=0.2,
    )  # fmt: skip
    await config.load_kube_config()  # type: ignore[no-untyped-call]
    async with client.ApiClient() as api:
        elector = LeaderElector(api, settings, on_gained=lambda: None, on_lost=lambda: None)
        note = asyncio.create_task(_note(elector, file))
        await elector.run(stop)
        note.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await note


async def _note(elector: LeaderElector, file: Path) -> None:
    with file.open("a", encoding="utf-8", buffering=1) as out:
        while True:
            try:
                elector.check_leading()
            except NotLeading:
                out.write(f"{time.time()} refused\n")
            else:
                out.write(f"{time.time()} may act\n")
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
