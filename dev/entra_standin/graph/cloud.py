"""``MicrosoftCloud``: login and Graph for tests, the demo and the torture."""

import time
from collections.abc import Callable, Iterator, Mapping
from ssl import SSLContext
from typing import Final, Self

import httpx

from entra_standin.graph.api import GraphApi
from entra_standin.graph.applications import Application, Tenant, Tenants, World
from entra_standin.graph.behaviour import Behaviour
from entra_standin.graph.client_assertions import JwksSource
from entra_standin.graph.connection import Connector, Unclosed
from entra_standin.graph.errors import SignInError
from entra_standin.graph.faults import Faults
from entra_standin.graph.ids import from_posix
from entra_standin.graph.jobs import Execution, Job
from entra_standin.graph.login import GRAPH_RESOURCES, Login
from entra_standin.graph.registrations import Caller
from entra_standin.graph.request_log import RequestLog
from entra_standin.graph.routing import Answer
from entra_standin.graph.runner import JobRunner
from entra_standin.graph.server import App, Server
from entra_standin.quarantine import SCHEDULE, Schedule

_LOGINS: Final = (
    "https://login.microsoftonline.com",
    "https://login.microsoftonline.us",
    "https://login.chinacloudapi.cn",
)
_TOKEN_PATH: Final = "oauth2/v2.0/token"
_CONNECTIONS: Final = httpx.Limits(max_connections=200, max_keepalive_connections=50)


class MicrosoftCloud:
    """One HTTP server on the loopback address for the length of a ``with`` block.

    Args:
        port: 0 takes a free one.
        jwks: the keys of every issuer that ``issuers`` does not name: a JWK Set, or what fetches it for each exchange.
        clock: POSIX time; access tokens, assertions, limits and cycles go by it.
        schedule: when cycles run.
        behaviour: which of several answers.
        transport: where requests to SCIM endpoints go instead of the network.
        origins: other origins to send them to, by origin: ``{"https://scim.example.com": "http://127.0.0.1:8080"}``.
        verify: whom to trust there, as in httpx.
        seed: of the faults that come by chance.

    Attributes:
        issuers: keys by issuer.
        tenants: by id.
        behaviour: may be changed at any time.
        faults: what is planted.
        requests: what was asked.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        jwks: JwksSource | None = None,
        clock: Callable[[], float] = time.time,
        schedule: Schedule = SCHEDULE,
        behaviour: Behaviour | None = None,
        transport: httpx.BaseTransport | None = None,
        origins: Mapping[str, str] | None = None,
        verify: SSLContext | bool = True,
        seed: int = 0,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.faults, self.requests = Faults(seed), RequestLog()
        self.issuers: dict[str, JwksSource] = {}
        self._jwks, self._clock = jwks, clock
        self._transport = transport or httpx.HTTPTransport(
            verify=verify, limits=_CONNECTIONS, trust_env=False
        )
        self._world = World(
            self.behaviour, Connector(Unclosed(self._transport, origins or {})), schedule, clock
        )
        self.tenants = Tenants(self._world)
        self._login = Login(
            self.tenants,
            self.behaviour,
            self._keys_of,
            lambda: (*GRAPH_RESOURCES, self.graph_url, self.origin),
            clock,
        )
        self._app = App(
            GraphApi(self._world, self.tenants, self._login), self._sign_in, self.faults, self.requests, clock
        )
        self._server = Server(self._app, port)
        self._runners: list[JobRunner] = []

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        for runner in self._runners:
            runner.stop()
        self.faults.clear()
        self._server.stop()
        self._transport.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._app.origin

    @property
    def login_url(self) -> str:
        """What stands for ``https://login.microsoftonline.com``."""
        return f"{self.origin}/login"

    @property
    def graph_url(self) -> str:
        """What stands for ``https://graph.microsoft.com``, without a version."""
        return f"{self.origin}/graph"

    @property
    def callers(self) -> Mapping[str, Caller]:
        """App registrations by client id."""
        return self._world.callers

    @property
    def schedule(self) -> Schedule:
        """When cycles run."""
        return self._world.schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self._world.schedule = schedule

    def add_tenant(self, tenant_id: str | None = None) -> Tenant:
        """A directory; its GUID is made unless given."""
        return self.tenants.add(tenant_id)

    def token_url(self, tenant_id: str) -> str:
        """The token endpoint of a tenant."""
        return f"{self.login_url}/{tenant_id}/{_TOKEN_PATH}"

    def forget_tokens(self) -> None:
        """Every access token that was issued is refused from now on."""
        self._login.forget()

    def applications(self) -> Iterator[Application]:
        """Of all tenants."""
        for tenant in list(self.tenants.values()):
            yield from list(tenant.applications.values())

    def jobs(self) -> Iterator[Job]:
        """Of all applications."""
        for application in self.applications():
            yield from application.jobs

    def run_due(self) -> list[Execution]:
        """Run the cycles that are due by the clock, one after the other."""
        now = from_posix(self._clock())
        executions = [job.run_cycle() for job in self.jobs() if job.is_due(now)]
        return [execution for execution in executions if execution is not None]

    def run_jobs(self, every_seconds: float) -> JobRunner:
        """Run cycles in the background from now on; the 40 minutes between them, and all else, are compressed."""
        self.schedule = SCHEDULE.compressed(SCHEDULE.cycle_every.total_seconds() / every_seconds)
        runner = JobRunner(self.jobs, lambda: from_posix(self._clock()))
        self._runners.append(runner)
        return runner

    def _keys_of(self, issuer: str) -> JwksSource | None:
        return self.issuers.get(issuer, self._jwks)

    def _sign_in(self, method: str, path: str, form: dict[str, str]) -> Answer:
        _, _, tenant_id, rest = (*path.split("/", 3), "", "")[:4]
        if method == "POST" and rest == _TOKEN_PATH:
            urls = frozenset(f"{login}/{tenant_id}/{_TOKEN_PATH}" for login in (*_LOGINS, self.login_url))
            granted = self._login.issue(tenant_id.lower(), form, urls)
            return Answer(200, granted, {"cache-control": "no-store, no-cache", "pragma": "no-cache"})
        if method == "GET" and rest == "adminconsent":
            return self._consent(tenant_id.lower(), form.get("client_id", ""))
        raise SignInError(90023, "The path is not that of an endpoint.", "invalid_request", 404)

    def _consent(self, tenant_id: str, client_id: str) -> Answer:
        """An administrator follows the link that consents."""
        caller = self.tenants.caller(client_id)
        if caller is None or tenant_id not in self.tenants:
            raise SignInError(700016, f"Application with identifier '{client_id}' was not found.", "unauthorized_client")  # fmt: skip
        caller.consent(tenant_id, caller.roles(caller.home))
        return Answer(200, {"tenant": tenant_id, "admin_consent": "True"})
