"""A dispatcher in a process of its own that can be killed, with short leases and a short schedule.

``python dispatcher_process.py <database URL> <key file> [<seconds of a lease>]``
"""

import asyncio
import sys
from pathlib import Path

from scim_api.delivery.dispatcher import Dispatcher
from scim_api.delivery.key_file import read_private_keys
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.sender import ReceiverRules, Sender
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.store.change_log import CHANGE_RETENTION
from scim_api.store.factory import create_store

DELIVERING = "the dispatcher delivers"
"""A line that it writes when it has its database."""


async def main(url: str, key_file: str, lease_seconds: str = "0.6") -> None:
    store, keys = create_store(url), read_private_keys(Path(key_file))
    rules = ReceiverRules(AllowedNetworks.read("127.0.0.0/8"), allows_http=True)
    await store.open()
    dispatcher = Dispatcher(
        store,
        lambda: Sender(store, keys, rules, "https://scim.test/scim/v2"),
        DeliveryMetrics(),
        keep=CHANGE_RETENTION,
        lease_seconds=float(lease_seconds),
        claim_seconds=0.1,
        delay=lambda _failures, _chance: 0.05,
    )
    print(DELIVERING, flush=True)
    await dispatcher.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
