"""Authentication: from ``Authorization: Bearer`` to the tenant, at the cost of a dictionary look-up.

An accepted credential is cached, and the cache counts only within ``FRESH_SECONDS`` of the last successful
reading of the auth generation, which every write of credentials or settings changes. Past that the
database is asked. So a revocation holds everywhere within a second, and at once where it was made; and a
database that is gone yields ``Unavailable`` (503), never a 401.

A token that is missing or malformed is refused without a look-up: its format and checksum are public, so
that tells a caller nothing that it could not work out itself. Unknown, revoked and expired tokens cost one
hash and one look-up each and can't be told apart by time. Every refusal has the same status, headers and body.
"""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from scim_api.contract.clock import boot_time
from scim_api.contract.signing import PROOF_AGENT
from scim_api.contract.tokens import digest as token_digest
from scim_api.contract.tokens import opens_scim
from scim_api.store.protocol import Access, AuthGeneration, CredentialUse, Store

FRESH_SECONDS: Final = 1.0
"""How long a reading of the auth generation counts, in seconds."""
MAX_ENTRIES: Final = 50_000


class Authenticator:
    """The credential cache of one process."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = boot_time) -> None:
        self._store = store
        self._clock = clock
        self._cache: dict[bytes, Access] = {}
        self._generation: int | None = None
        self._read_at = float("-inf")
        self._offset: float | None = None
        self._uses: dict[str, tuple[float, str | None]] = {}

    def now(self) -> float:
        """The database's clock, estimated from its readings: a POSIX time in seconds."""
        return self._clock() + (self._offset or 0.0)

    def observe(self, generation: AuthGeneration, *, asked_at: float, answered_at: float) -> None:
        """Take a reading of the auth generation and of the database's clock.

        The database read its clock at some moment between the query and its result. So a slow result says
        little about the time, and moves our offset no further than it must; otherwise a result that took
        two seconds would end tokens two seconds early, or late.

        Args:
            generation: the reading.
            asked_at: when the query was sent, in seconds of this object's clock.
            answered_at: when its result came, likewise.
        """
        if generation.number != self._generation:
            self._cache.clear()
            self._generation = generation.number
        self._read_at = asked_at
        least, most = generation.now - answered_at, generation.now - asked_at
        if self._offset is None:
            self._offset = (least + most) / 2
        self._offset = min(max(self._offset, least), most)

    def invalidate(self) -> None:
        """Make the next request read the auth generation: this process has just changed a credential."""
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Read the auth generation. Raises ``Unavailable``."""
        asked_at = self._clock()
        generation = await self._store.generation()
        self.observe(generation, asked_at=asked_at, answered_at=self._clock())

    def _is_fresh(self) -> bool:
        asked_at = self._clock()
        reading = self._store.generation_now()
        if reading is not None:
            self.observe(reading, asked_at=asked_at, answered_at=self._clock())
            return True
        return asked_at - self._read_at <= FRESH_SECONDS

    async def authenticate(self, token: str, user_agent: str | None) -> Access | None:
        """The access that a token gives, or None for 401.

        Args:
            token: as the client sent it; empty without one.
            user_agent: family of the client, noted with the token's last use.

        Raises:
            Unavailable: the database had to be asked and did not answer.
        """
        digest = token_digest(token)
        if not self._is_fresh():
            await self.refresh()
        access = self._accept(self._cache.get(digest), digest)
        if access is None and opens_scim(token):
            access = await self._look_up(digest)
        if access is not None and user_agent != PROOF_AGENT:
            self._uses[access.credential] = (self.now(), user_agent)
        return access

    async def _look_up(self, digest: bytes) -> Access | None:
        generation = self._generation
        access = self._accept(await self._store.access(digest), digest)
        if access is not None and generation == self._generation:
            if len(self._cache) >= MAX_ENTRIES:
                self._cache.clear()
            self._cache[digest] = access
        return access

    def _accept(self, access: Access | None, digest: bytes) -> Access | None:
        if access is None or not hmac.compare_digest(access.digest, digest):
            return None
        return access if self.now() < access.ends_at else None

    async def write_uses(self) -> None:
        """Write the last uses gathered since the last call; they are kept for the next call when that fails."""
        used, self._uses = self._uses, {}
        if not used:
            return
        try:
            await self._store.record_use(
                [
                    CredentialUse(name, datetime.fromtimestamp(at, UTC), agent)
                    for name, (at, agent) in used.items()
                ]
            )
        except Exception:
            self._uses = {**used, **self._uses}
            raise
