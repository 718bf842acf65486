"""Microsoft's side in memory: what Entra holds, which is the third place of truth beside Secret and API."""

import dataclasses
from datetime import datetime, timedelta

from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    Credentials,
    EntraError,
    Execution,
    Identity,
    Job,
    Obstacle,
    OnDemandResult,
    Quarantine,
    RestartScope,
)
from support.operator_ports import Point, straight_on
from support.operator_world import World

TENANT_ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
APPLICATION_ID = "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a"
CLIENT_ID = "0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37"
ENTRA = {
    "tenantID": TENANT_ID,
    "servicePrincipalID": APPLICATION_ID,
    "signIn": {"clientID": CLIENT_ID, "serviceAccountRef": {"name": "entra-hand-over"}},
}
"""``spec.entra`` of the tests."""


ACCESS_TOKEN_LIFETIME = timedelta(minutes=90)
"""Microsoft's access tokens live between 60 and 90 minutes."""


@dataclasses.dataclass
class Entra:
    """One enterprise application with one job."""

    world: World
    holds: str | None = None
    """The plaintext that it has saved."""
    endpoint: str | None = None
    quarantine: Quarantine | None = None
    schedule: str = "Active"
    execution: Execution | None = None
    obstacles: dict[str, EntraError] = dataclasses.field(default_factory=dict)
    """By the call that they are in the way of."""
    drops_saves: bool = False
    """Whether a save is answered well and does nothing."""
    jobs: int = 1
    calls: list[str] = dataclasses.field(default_factory=list)
    scopes: list[RestartScope] = dataclasses.field(default_factory=list)
    refused_cycles: int = 0
    """Cycles that were refused, although nothing but the credential was wrong."""

    def cycle(self) -> bool:
        """A provisioning cycle, or a Test Connection, with what is saved; whether it was let in."""
        self.execution = Execution("Succeeded", self.world.now, self.world.now, 1)
        if self.holds is not None and self.world.accepts(self.holds):
            self.world.use(self.holds)
            self.quarantine = None
            return True
        self.refused_cycles += 1
        self.execution = Execution("Failed", self.world.now, self.world.now, 0, "InvalidCredentials")
        if self.quarantine is None:
            self.quarantine = Quarantine("EncounteredQuarantineException", self.world.now, None)
        return False

    def fingerprint(self) -> tuple[object, object, object, object]:
        """All that a decision may rest on: what it holds, how the job is, last uses, and what the status remembers."""
        assert self.world.object is not None
        uses = tuple((name, str(item.last_used_at)) for name, item in sorted(self.world.credentials.items()))
        remembered = repr(self.world.object["status"].get("entra"))
        return self.holds, repr(self.job), uses, remembered

    @property
    def job(self) -> Job:
        """As Graph shows it."""
        code = "Quarantine" if self.quarantine else "Active"
        return Job("scim.1", "scim", code, self.schedule, self.execution, None, self.quarantine)


class FakeGraph:
    """``entra.ports.Graph``: asks the world."""

    def __init__(self, entra: Entra, point: Point = straight_on) -> None:
        self._entra, self._point = entra, point
        self._signed_in: datetime | None = None

    async def jobs(self, application: Application, identity: Identity) -> list[Job]:
        await self._enter("jobs")
        return [
            dataclasses.replace(self._entra.job, id=f"scim.{number + 1}")
            for number in range(self._entra.jobs)
        ]

    async def job(self, application: Application, identity: Identity, job_id: str) -> Job:
        await self._enter("job")
        return dataclasses.replace(self._entra.job, id=job_id)

    async def validate(
        self, application: Application, identity: Identity, job: Job, credentials: Credentials | None
    ) -> None:
        await self._enter("validate" if credentials is not None else "validate-saved")
        plaintext = self._entra.holds if credentials is None else _plaintext(credentials)
        if plaintext is None or not self._entra.world.accepts(plaintext):
            raise EntraError(Obstacle.CREDENTIALS_REFUSED, "Test Connection did not pass: 401")
        self._entra.world.use(plaintext)

    async def save(self, application: Application, identity: Identity, credentials: Credentials) -> None:
        await self._enter("save")
        if not self._entra.drops_saves:
            self._entra.holds, self._entra.endpoint = _plaintext(credentials), credentials.endpoint

    async def start(self, application: Application, identity: Identity, job_id: str) -> None:
        await self._enter("start")
        self._entra.quarantine = None
        self._entra.cycle()

    async def restart(
        self, application: Application, identity: Identity, job_id: str, scope: RestartScope
    ) -> None:
        await self._enter("restart")
        self._entra.scopes.append(scope)
        self._entra.quarantine = None
        self._entra.cycle()

    async def provision_on_demand(
        self, application: Application, identity: Identity, job_id: str, object_id: str
    ) -> OnDemandResult:
        await self._enter("provision-on-demand")
        return OnDemandResult("Success", f"{object_id} was updated")

    async def _enter(self, call: str) -> None:
        await self._point(f"graph-{call}")
        self._entra.calls.append(call)
        now = self._entra.world.now
        if call in ("jobs", "job"):
            self._signed_in = now
        if self._signed_in is None or now > self._signed_in + ACCESS_TOKEN_LIFETIME:
            raise EntraError(Obstacle.UNREACHABLE, "the access token has expired")
        obstacle = self._entra.obstacles.get(call)
        if obstacle is not None:
            raise obstacle


def _plaintext(credentials: Credentials) -> str:
    return credentials.token if isinstance(credentials, BearerCredentials) else credentials.client_secret


def quarantined_since(moment: datetime, reason: str = "EncounteredQuarantineException") -> Quarantine:
    """A quarantine that Entra tells of."""
    return Quarantine(reason, moment, None, "InvalidCredentials", "401")
