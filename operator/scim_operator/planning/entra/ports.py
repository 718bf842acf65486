"""What hand-over and watching ask of Microsoft's side: the ports ``EntraSignIn`` and ``Graph``, and what they answer.

``adapters.entra_login`` and ``adapters.graph`` implement them for real; the model test implements them in memory. The
words are Microsoft Graph's (resource type synchronizationJob).
"""

import dataclasses
import enum
from datetime import datetime, timedelta
from typing import Protocol

from scim_operator.api.entra import GraphCloud


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """The enterprise application whose provisioning is handed credentials."""

    cloud: GraphCloud
    tenant_id: str
    service_principal_id: str
    """Its object id."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceAccountIdentity:
    """Signs in by the token of a Kubernetes ServiceAccount: workload identity federation, no secret anywhere."""

    client_id: str
    namespace: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class ClientSecretIdentity:
    """Signs in with a client secret of the app registration."""

    client_id: str
    secret: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Signs in with a JWT signed by the key of a certificate that the app registration knows."""

    client_id: str
    certificate: str
    """PEM; of a chain the leaf is the first."""
    private_key: str = dataclasses.field(repr=False)
    """PEM."""


Identity = ServiceAccountIdentity | ClientSecretIdentity | CertificateIdentity


class Obstacle(enum.StrEnum):
    """Why something could not be done at Microsoft's side; a reason of conditions."""

    SIGN_IN_REFUSED = "EntraSignInRefused"
    """The login refused the identity: no matching federated credential, wrong or expired secret, unknown tenant ..."""
    CONSENT_MISSING = "ConsentMissing"
    """The application that signs in is not known in that tenant: its administrator has to consent."""
    PERMISSION_MISSING = "PermissionMissing"
    """Graph refused: the identity lacks a right."""
    APPLICATION_NOT_FOUND = "ApplicationNotFound"
    """404 for the service principal."""
    JOB_NOT_FOUND = "JobNotFound"
    """There is no provisioning job, or not the one named."""
    SEVERAL_JOBS = "SeveralJobs"
    """There are several, and none is named."""
    APPLICATION_TAKEN = "ApplicationTaken"
    """Another ScimToken hands its credentials to the same application."""
    CREDENTIALS_REFUSED = "CredentialsRefused"
    """Entra's Test Connection did not pass with the credentials."""
    REQUEST_REFUSED = "GraphRefused"
    """Graph took the request for wrong."""
    UNREACHABLE = "GraphUnreachable"
    """No answer, an answer of 5xx, a conflict, or too many requests: the same may work later."""
    IDENTITY_NOT_READABLE = "IdentityNotReadable"
    """The ServiceAccount's token or the Secret with the identity could not be had from Kubernetes."""


TRANSIENT: frozenset[Obstacle] = frozenset({Obstacle.UNREACHABLE})
"""Obstacles that may go without anybody acting."""


class EntraError(Exception):
    """Something could not be done at Microsoft's side.

    Attributes:
        obstacle: what stands in the way.
        message: for people, with what to do next; without secrets.
        retry_after: when Microsoft says when to come again.
        request_id: of Microsoft's answer, for its support; None without an answer.
    """

    def __init__(
        self,
        obstacle: Obstacle,
        message: str,
        *,
        retry_after: timedelta | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.obstacle, self.message = obstacle, message
        self.retry_after, self.request_id = retry_after, request_id


@dataclasses.dataclass(frozen=True, slots=True)
class Execution:
    """The last cycle of a job (synchronizationTaskExecution)."""

    state: str
    """Succeeded, Failed or EntryLevelErrors; others may come."""
    began_at: datetime | None
    ended_at: datetime | None
    exported: int | None
    """``countExported``: objects that were sent."""
    error_code: str | None = None
    error_message: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Quarantine:
    """Why a job runs once a day or less (synchronizationQuarantine)."""

    reason: str
    """Such as ``EncounteredQuarantineException``."""
    began_at: datetime | None
    next_attempt_at: datetime | None
    error_code: str | None = None
    error_message: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A provisioning job as Graph shows it."""

    id: str
    template_id: str
    code: str
    """``status.code``: NotConfigured, NotRun, Active, Paused or Quarantine; others count as about to begin."""
    schedule_state: str
    """Active, Disabled or Paused."""
    last_execution: Execution | None = None
    last_success_at: datetime | None = None
    quarantine: Quarantine | None = None
    failures: int = 0
    """``countSuccessiveCompleteFailures``."""


class RestartScope(enum.StrEnum):
    """What a restart makes a job forget (synchronizationJobRestartScope); no other scope is ever asked for."""

    QUARANTINE_STATE = "QuarantineState"
    FULL = "Full"
    """A whole initial cycle; only where somebody asks for it."""


@dataclasses.dataclass(frozen=True, slots=True)
class BearerCredentials:
    """What Entra is to sign in with: its Secret Token."""

    endpoint: str
    """The SCIM base URL: Entra's Tenant URL."""
    token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class OAuthCredentials:
    """What Entra is to sign in with: OAuth 2.0 client credentials."""

    endpoint: str
    token_endpoint: str
    client_id: str
    client_secret: str = dataclasses.field(repr=False)


Credentials = BearerCredentials | OAuthCredentials


@dataclasses.dataclass(frozen=True, slots=True)
class OnDemandResult:
    """What became of one object that was provisioned on demand."""

    result: str
    """Success, Failure, Skipped or Warning."""
    detail: str
    """Error code and reason, or what was changed; a sentence, at most 500 characters."""


class Graph(Protocol):
    """Microsoft Graph's synchronization API for one application, signed in as one identity.

    Every call raises ``EntraError``, ``NotLeading`` before a write when this process may not write any more, and what
    reading the identity from Kubernetes raises.
    """

    async def jobs(self, application: Application, identity: Identity) -> list[Job]:
        """All provisioning jobs of the application."""

    async def job(self, application: Application, identity: Identity, job_id: str) -> Job:
        """One of them."""

    async def validate(
        self, application: Application, identity: Identity, job: Job, credentials: Credentials | None
    ) -> None:
        """Entra's Test Connection, with these credentials, or with those that it has saved (None).

        Raises:
            EntraError: also, as CREDENTIALS_REFUSED, when the test does not pass.
        """

    async def save(self, application: Application, identity: Identity, credentials: Credentials) -> None:
        """Have Entra store them in the place of those that it has. The same again changes nothing."""

    async def start(self, application: Application, identity: Identity, job_id: str) -> None:
        """Have the job run, out of quarantine too."""

    async def restart(
        self, application: Application, identity: Identity, job_id: str, scope: RestartScope
    ) -> None:
        """Have the job begin anew, with ``scope`` forgotten."""

    async def provision_on_demand(
        self, application: Application, identity: Identity, job_id: str, object_id: str
    ) -> OnDemandResult:
        """Provision one user, for real."""
