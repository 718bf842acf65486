"""Microsoft's login and Graph, played in a process of its own, with many enterprise applications."""

import contextlib
import dataclasses
import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Self

from entra_standin.graph import Application, Caller, Fault, FederatedCredential, MicrosoftCloud
from entra_standin.graph.request_log import LoggedRequest

ROLE = "Synchronization.ReadWrite.All"


@dataclasses.dataclass(frozen=True)
class Customers:
    """What is to be played.

    Attributes:
        count: enterprise applications.
        tenants: whether each is in a tenant of its own, as the customers of a vendor are.
        issuer: of the ServiceAccount's tokens.
        subject: of the ServiceAccount that stands for the app registration.
        jwks: the issuer's keys.
    """

    count: int
    tenants: bool
    issuer: str
    subject: str
    jwks: dict[str, Any]


class PlayedMicrosoft:
    """The process, and what it is asked; as a context manager it ends with the block.

    Attributes:
        login_url: of the operator's settings.
        graph_url: likewise.
        client_id: of the app registration.
        applications: tenant id and object id of each enterprise application.
    """

    def __init__(self, customers: Customers) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_play, args=(theirs, customers), daemon=True)
        self.login_url, self.graph_url, self.client_id = "", "", ""
        self.applications: Sequence[tuple[str, str]] = ()

    def __enter__(self) -> Self:
        self._process.start()
        self.login_url, self.graph_url, self.client_id, self.applications = self._pipe.recv()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pipe.send(("end",))
        self._process.join(10)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def requests(self) -> list[LoggedRequest]:
        """What was asked since this was called last."""
        self._pipe.send(("requests",))
        found: list[LoggedRequest] = self._pipe.recv()
        return found

    @contextlib.contextmanager
    def outage(self, fault: Fault) -> Iterator[None]:
        """Nothing at Graph is answered well."""
        self._ask("begin", fault)
        try:
            yield
        finally:
            self._ask("over")

    def _ask(self, *what: object) -> None:
        self._pipe.send(what)
        self._pipe.recv()


def _play(pipe: Connection, customers: Customers) -> None:
    with MicrosoftCloud(jwks=customers.jwks) as cloud:
        caller, applications = _populate(cloud, customers)
        known = [(one.tenant_id, one.service_principal_id) for one in applications]
        pipe.send((cloud.login_url, cloud.graph_url, caller.client_id, known))
        while True:
            match pipe.recv():
                case ("requests",):
                    found = list(cloud.requests.log)
                    cloud.requests.clear()
                    pipe.send(found)
                case ("begin", fault):
                    cloud.faults.inject(fault, times=None)
                    pipe.send(None)
                case ("over",):
                    cloud.faults.clear()
                    pipe.send(None)
                case _:
                    return


def _populate(cloud: MicrosoftCloud, customers: Customers) -> tuple[Caller, list[Application]]:
    home = cloud.add_tenant()
    federated = [FederatedCredential(customers.issuer, customers.subject)]
    caller = home.add_caller(federated=federated, roles=[ROLE], multi_tenant=customers.tenants)
    applications = []
    for _ in range(customers.count):
        tenant = cloud.add_tenant() if customers.tenants else home
        caller.consent(tenant.id, [ROLE])
        applications.append(tenant.add_application())
    return caller, applications


def is_save(request: LoggedRequest) -> bool:
    """Whether Graph has stored credentials by it."""
    return request.method in ("PUT", "PATCH") and 200 <= request.status < 300


def operation(request: LoggedRequest) -> str:
    """What was asked, in short."""
    if "/oauth2/" in request.path:
        return "sign in"
    return f"{request.method} {request.path.rpartition('/')[2]}"
