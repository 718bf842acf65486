"""Enterprise applications of a tenant, and tenants."""

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from entra_standin.directory import Person, Team
from entra_standin.graph.behaviour import Behaviour
from entra_standin.graph.connection import Connector
from entra_standin.graph.credentials import Credentials
from entra_standin.graph.ids import new_guid
from entra_standin.graph.jobs import Execution, Job
from entra_standin.graph.provisioning_log import ProvisioningLog
from entra_standin.graph.registrations import Caller, FederatedCredential
from entra_standin.quarantine import Schedule

Owner = Caller | str
"""A caller, or the object id of a service principal."""


class World:
    """What all tenants of a cloud share.

    Attributes:
        behaviour: which of several answers.
        connector: makes SCIM clients.
        schedule: when cycles run.
        clock: POSIX time.
        callers: app registrations by client id.
    """

    def __init__(
        self, behaviour: Behaviour, connector: Connector, schedule: Schedule, clock: Callable[[], float]
    ) -> None:
        self.behaviour, self.connector, self.schedule, self.clock = behaviour, connector, schedule, clock
        self.callers: dict[str, Caller] = {}


@dataclasses.dataclass(frozen=True)
class Lag:
    """A replica that lags behind.

    Attributes:
        until: POSIX time.
        reads: its answers by path below the service principal.
    """

    until: float
    reads: Mapping[str, dict[str, Any]] = dataclasses.field(repr=False)


class Application:
    """An enterprise application.

    Attributes:
        service_principal_id: its object id, which URLs have.
        app_id: its application id, which they must not have.
        object_id: of its registration.
        display_name: its name.
        template_id: what its jobs are made of.
        tenant_id: where it is.
        owners: object ids of service principals that own the service principal.
        registration_owners: of those that own the registration, which counts for nothing but ``provisionOnDemand``.
        credentials: what Entra holds, by key.
        jobs: its jobs.
        people: users assigned to it.
        teams: groups assigned to it.
        delete_threshold: a cycle that would delete more users quarantines the job instead; None is no limit.
        rules: ids of the synchronization rules, by type of object.
        lag: a replica that answers reads after a write; None when there is none.
        lock: held while any of this is changed.
    """

    def __init__(
        self, world: World, tenant_id: str, log: ProvisioningLog, name: str, template_id: str
    ) -> None:
        self.service_principal_id, self.app_id, self.object_id = new_guid(), new_guid(), new_guid()
        self.display_name, self.template_id, self.tenant_id = name, template_id, tenant_id
        self.owners: set[str] = set()
        self.registration_owners: set[str] = set()
        self.credentials: dict[str, str] = {}
        self.jobs: list[Job] = []
        self.people: tuple[Person, ...] = ()
        self.teams: tuple[Team, ...] = ()
        self.delete_threshold: int | None = None
        self.rules = {"User": new_guid(), "Group": new_guid()}
        self.lag: Lag | None = None
        self.lock = threading.RLock()
        self._world, self._log = world, log

    def __repr__(self) -> str:
        return f"Application({self.service_principal_id!r})"

    @property
    def behaviour(self) -> Behaviour:
        """Of the cloud."""
        return self._world.behaviour

    @property
    def connector(self) -> Connector:
        """Of the cloud."""
        return self._world.connector

    @property
    def schedule(self) -> Schedule:
        """Of the cloud."""
        return self._world.schedule

    @property
    def clock(self) -> Callable[[], float]:
        """Of the cloud."""
        return self._world.clock

    def add_job(self, template_id: str | None = None) -> Job:
        """A job, which does not run yet."""
        job = Job(self, template_id or self.template_id)
        with self.lock:
            self.jobs = [*self.jobs, job]
        return job

    def remove_job(self, job: Job) -> None:
        """Delete it."""
        job.pause()
        with self.lock:
            self.jobs = [one for one in self.jobs if one is not job]

    def job(self, job_id: str) -> Job | None:
        """The job of this id."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def record_execution(self, job: Job, execution: Execution) -> None:
        """Take a cycle down in the provisioning log."""
        self._log.cycle(self, job, execution)


class Tenant:
    """A directory.

    Attributes:
        id: a GUID.
        applications: by object id of the service principal.
        log: its provisioning log.
    """

    def __init__(self, world: World, tenant_id: str) -> None:
        self.id = tenant_id
        self.applications: dict[str, Application] = {}
        self.log = ProvisioningLog(tenant_id)
        self._world = world

    def __repr__(self) -> str:
        return f"Tenant({self.id!r})"

    def add_caller(
        self,
        *,
        client_id: str | None = None,
        secret: str | None = None,
        secret_expires_at: float | None = None,
        certificate_pem: str | bytes | None = None,
        federated: Iterable[FederatedCredential] = (),
        roles: Iterable[str] = (),
        multi_tenant: bool = False,
    ) -> Caller:
        """An app registration with its service principal here.

        Args:
            client_id: made unless given.
            secret: a client secret.
            secret_expires_at: POSIX time.
            certificate_pem: a certificate that it signs with the key of.
            federated: whose assertions stand for it.
            roles: app roles of Graph, such as ``Synchronization.ReadWrite.All``.
            multi_tenant: other tenants may consent: ``Caller.consent``.
        """
        caller = Caller((client_id or new_guid()).lower(), self.id, multi_tenant=multi_tenant)
        if secret is not None:
            caller.add_secret(secret, expires_at=secret_expires_at)
        if certificate_pem is not None:
            caller.add_certificate(certificate_pem)
        caller.federate(*federated)
        caller.consent(self.id, roles)
        self._world.callers[caller.client_id] = caller
        return caller

    def add_application(
        self,
        template_id: str = "scim",
        *,
        jobs: int = 1,
        owners: Iterable[Owner] = (),
        display_name: str = "SCIM",
        service_principal_id: str | None = None,
        credentials: Credentials | None = None,
        people: Iterable[Person] = (),
        teams: Iterable[Team] = (),
        started: bool = False,
    ) -> Application:
        """An enterprise application.

        Args:
            template_id: of its jobs.
            jobs: how many it has.
            owners: callers, or object ids of service principals.
            display_name: its name.
            service_principal_id: its object id, a GUID; made unless given.
            credentials: what Entra holds, by key, such as ``BaseAddress`` and ``SecretToken``.
            people: users assigned to it; a job without any sends nothing.
            teams: groups assigned to it.
            started: whether its jobs run, and are due at once.
        """
        application = Application(self._world, self.id, self.log, display_name, template_id)
        if service_principal_id is not None:
            application.service_principal_id = service_principal_id.lower()
        application.owners |= {self._principal(owner) for owner in owners}
        application.credentials = dict(credentials or {})
        application.people, application.teams = tuple(people), tuple(teams)
        for _ in range(jobs):
            job = application.add_job()
            if started:
                job.start()
        self.applications[application.service_principal_id] = application
        return application

    def owned_by(self, principal_id: str) -> frozenset[str]:
        """Object ids of service principals and registrations that it owns."""
        owned: set[str] = set()
        for application in list(self.applications.values()):
            if principal_id in application.owners:
                owned.add(application.service_principal_id)
            if principal_id in application.registration_owners:
                owned.add(application.object_id)
        return frozenset(owned)

    def _principal(self, owner: Owner) -> str:
        if isinstance(owner, str):
            return owner
        principal = owner.service_principal_id(self.id)
        if principal is None:
            raise ValueError(f"{owner!r} has no service principal in the tenant")
        return principal


class Tenants(Mapping[str, Tenant]):
    """All tenants by id, and who signs in to them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tenants: dict[str, Tenant] = {}

    def add(self, tenant_id: str | None = None) -> Tenant:
        """A new one."""
        tenant = Tenant(self._world, (tenant_id or new_guid()).lower())
        self._tenants[tenant.id] = tenant
        return tenant

    def __getitem__(self, tenant_id: str) -> Tenant:
        return self._tenants[tenant_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tenants)

    def __len__(self) -> int:
        return len(self._tenants)

    def caller(self, client_id: str) -> Caller | None:
        """The app registration."""
        return self._world.callers.get(client_id.lower())

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant."""
        return tenant_id in self._tenants

    def owned_by(self, tenant_id: str, principal_id: str) -> frozenset[str]:
        """Object ids that the service principal owns there."""
        return self[tenant_id].owned_by(principal_id)
