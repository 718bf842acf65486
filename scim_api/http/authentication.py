"""Authentication: from ``Authorization: Bearer`` to the tenant, at the cost of a dictionary look-up.

An accepted credential is cached, and the cache counts only within ``FRESH_SECONDS`` of the last successful
reading of the auth generation, which every write of credentials or settings changes. Past that the
database is asked. So a revocation holds everywhere within a second, and at once where it was made; and a
database that is gone yields ``Unavailable`` (503), never a 401.

A token that is missing or malformed is refused without a look-up: its format and checksum are public, so
that tells a caller nothing that it could not work out itself. Unknown, revoked and expired tokens cost one
hash and one look-up each and can't be told apart by time. Every refusal has the same status, headers and body.
"""

import dataclasses
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from scim_api.contract.clock import boot_time
from scim_api.contract.tokens import digest as token_digest
from scim_api.contract.tokens import opens_scim
from scim_api.store.protocol import Access, AuthGeneration, CredentialUse, Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FRESH_SECONDS: Final = 1.0
"""How long a reading of the auth generation counts, in seconds."""
MAX_ENTRIES: Final = 50_000
INSPECTOR: Final = "kubectl-scim"
"""Family of the clients by which a person looks: what only reads with it is no use of a credential, and shown apart."""


class OperatorKeys(Protocol):
    """The operator's public keys, which sign its own sign-ins."""

    @property
    def installation(self) -> str | None:
        """The installation id, once the operator has published it."""

    def find(self, kid: str) -> "Ed25519PublicKey | None":
        """The key with this id."""


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorProof:
    """What a request says to be the operator's own sign-in by, which is no use of its credential."""

    jwt: str
    """See ``signing.sign_proof``; as it came."""
    method: str
    target: str
    """Path and query as they came."""

    def holds(self, keys: OperatorKeys | None, credential: bytes) -> bool:
        """Whether the operator has signed it, for this request with this credential."""
        installation = None if keys is None else keys.installation
        if keys is None or installation is None:
            return False
        from scim_api.contract.signing import (  # who has read keys has imported it
            SignatureRefused,
            verify_proof,
        )

        try:
            verify_proof(
                self.jwt,
                keys.find,
                audience=installation,
                method=self.method,
                target=self.target,
                credential=credential,
            )
        except SignatureRefused:
            return False
        return True


class Authenticator:
    """The credential cache of one process.

    Args:
        store: where the credentials are.
        operator_keys: those that sign the operator's own sign-ins; None: each sign-in is a use.
        clock: seconds; goes on while the machine sleeps.
    """

    def __init__(
        self,
        store: Store,
        *,
        operator_keys: OperatorKeys | None = None,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._store = store
        self._operator_keys = operator_keys
        self._clock = clock
        self._cache: dict[bytes, Access] = {}
        self._generation: int | None = None
        self._read_at = float("-inf")
        self._offset: float | None = None
        self._uses: dict[str, tuple[float, str | None]] = {}
        self._inspections: dict[str, float] = {}

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

    async def fresh_now(self) -> float:
        """The database's clock by a reading that counts. Raises ``Unavailable``."""
        if not self._is_fresh():
            await self.refresh()
        return self.now()

    async def authenticate(
        self, token: str, user_agent: str | None, proof: OperatorProof | None = None, *, reads: bool = False
    ) -> Access | None:
        """The access that a token gives, or None for 401.

        Args:
            token: as the client sent it; empty without one.
            user_agent: family of the client, noted with the token's last use.
            proof: of a request that says to be the operator's own.
            reads: whether the request can change nothing.

        Raises:
            Unavailable: the database had to be asked and did not answer.
        """
        digest = token_digest(token)
        if not self._is_fresh():
            await self.refresh()
        access = self._accept(self._cache.get(digest), digest)
        if access is None and opens_scim(token):
            access = await self._look_up(digest)
        if access is not None and (proof is None or not proof.holds(self._operator_keys, digest)):
            self._count_use(access.credential, user_agent, is_inspection=reads and user_agent == INSPECTOR)
        return access

    def authenticate_now(self, token: str, user_agent: str | None, *, reads: bool) -> Access | None:
        """As ``authenticate``, without waiting; None where that would ask the database, or refuse.

        Args:
            token: as the client sent it.
            user_agent: family of the client.
            reads: whether the request can change nothing.

        Raises:
            Unavailable: the database does not answer.
        """
        digest = token_digest(token)
        access = self._accept(self._cache.get(digest), digest) if self._is_fresh() else None
        if access is not None:
            self._count_use(access.credential, user_agent, is_inspection=reads and user_agent == INSPECTOR)
        return access

    async def is_accepted(self, access: Access) -> bool:
        """Whether a credential that was accepted still is, for a request that takes long. Raises ``Unavailable``."""
        if not self._is_fresh():
            await self.refresh()
        known = self._accept(self._cache.get(access.digest), access.digest)
        return known is not None or await self._look_up(access.digest) is not None

    def count_use(
        self, credential: str, digest: bytes, user_agent: str | None, proof: OperatorProof | None = None
    ) -> None:
        """Note that a client signed in elsewhere, for an access token: a use, an inspection, or the operator's own.

        What is done with the access token counts for itself.

        Args:
            credential: its id.
            digest: its SHA-256.
            user_agent: family of the client.
            proof: of a request that says to be the operator's own.
        """
        if proof is not None and proof.holds(self._operator_keys, digest):
            return
        self._count_use(credential, user_agent, is_inspection=user_agent == INSPECTOR)

    def _count_use(self, credential: str, user_agent: str | None, *, is_inspection: bool) -> None:
        if is_inspection:
            self._inspections[credential] = self.now()
        else:
            self._uses[credential] = (self.now(), user_agent)

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
        """Write what was gathered since the last call; it is kept for the next call when that fails."""
        used, self._uses = self._uses, {}
        inspected, self._inspections = self._inspections, {}
        if not used and not inspected:
            return
        try:
            await self._store.record_use(
                [
                    *(CredentialUse(name, _utc(at), agent) for name, (at, agent) in used.items()),
                    *(CredentialUse(name, _utc(at), is_inspection=True) for name, at in inspected.items()),
                ]
            )
        except Exception:
            self._uses = {**used, **self._uses}
            self._inspections = {**inspected, **self._inspections}
            raise


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
