"""Why each client of the token endpoint was refused last, until a background job has written it."""

from typing import Final

from scim_api.contract.admin import TokenRefusal
from scim_api.store.protocol import Store

MAX_CLIENTS: Final = 10_000
"""Whose last refusals are held at a time. Only clients that exist have one; it is more than a minute's."""


class TokenRefusals:
    """The last refusals that the database does not have yet, of this process.

    Args:
        limit: clients at a time; what is more is not remembered.
    """

    def __init__(self, limit: int = MAX_CLIENTS) -> None:
        self._limit = limit
        self._unwritten: dict[str, TokenRefusal | None] = {}

    def remember(self, client_id: str, refusal: TokenRefusal) -> bool:
        """A client that exists was refused; whether it is the first time since the last writing."""
        is_first = self._unwritten.get(client_id) is None
        return self._set(client_id, refusal) and is_first

    def forget(self, client_id: str) -> None:
        """A token was issued to a client: what was refused before is over."""
        self._set(client_id, None)

    def _set(self, client_id: str, refusal: TokenRefusal | None) -> bool:
        """Whether there was room for it."""
        if client_id not in self._unwritten and len(self._unwritten) >= self._limit:
            return False
        self._unwritten[client_id] = refusal
        return True

    async def write(self, store: Store) -> None:
        """Write what was gathered since the last call; it is kept for the next call when that fails.

        Raises:
            Unavailable: the database does not answer.
        """
        refusals, self._unwritten = self._unwritten, {}
        if not refusals:
            return
        try:
            await store.record_token_refusals(refusals)
        except Exception:
            self._unwritten = {**refusals, **self._unwritten}
            raise
