"""No connection to a server that takes no writes is kept: a standby, or a database that is read-only by default.

While a failover is under way, the database's name may lead to a standby. A connection that was opened then
stays with that standby, however long ago the name began to lead to the primary, and a session that began
read-only stays so. So whatever turns out read-only is ended, and all that was opened before with it.
"""

import asyncio
from typing import Final, Protocol

from scim_api.store.postgres.connecting import Connection

RENEW_SECONDS: Final = 1.0
"""How long a connection that is read-only from its beginning may serve reads before it is opened anew."""


class Renewable(Protocol):
    """A pool, as far as this goes."""

    def renew(self) -> None:
        """End the connections that are open now, each when nobody uses it."""


class ReadOnlyWatch:
    """What the pools of one database share to get rid of read-only connections."""

    def __init__(self) -> None:
        self._pools: list[Renewable] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, pool: Renewable) -> None:
        """Renew this pool, too, from now on."""
        self._pools.append(pool)

    def opened(self, connection: Connection) -> None:
        """See whether a new connection takes writes; if not, its time is limited."""
        if self._timer is None and starts_read_only(connection):
            self._timer = asyncio.get_running_loop().call_later(RENEW_SECONDS, self.renew)

    def renew(self) -> None:
        """A connection turned out to be read-only: use none of those that are open for anything new."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for pool in self._pools:
            pool.renew()


def starts_read_only(connection: Connection) -> bool:
    """Whether the server has said so as the connection was opened; PostgreSQL 14 and newer do."""
    settings = connection.get_settings()
    return "on" in (
        getattr(settings, "in_hot_standby", "off"),
        getattr(settings, "default_transaction_read_only", "off"),
    )
