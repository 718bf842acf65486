"""A request to Graph from its token to its answer; knows nothing of HTTP's connections."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from entra_standin.graph import access, directory, synchronization, views
from entra_standin.graph.access import Right
from entra_standin.graph.applications import Application, Lag, Tenant, Tenants, World
from entra_standin.graph.errors import GraphError, bad_request, not_found
from entra_standin.graph.jobs import Job
from entra_standin.graph.login import Grant, Login
from entra_standin.graph.request_log import Limit
from entra_standin.graph.routing import Answer, Call, Operation, Router

ROUTER: Final = Router((*synchronization.OPERATIONS, *directory.OPERATIONS))


@dataclasses.dataclass(frozen=True)
class GraphRequest:
    """What came.

    Attributes:
        operation: what it asks for.
        names: from the path.
        query: its options.
        authorization: the header.
        content: the body.
        url: of the resource, without a query.
        stale_seconds: for how long reads show what was before this write; 0 is not at all.
    """

    operation: Operation
    names: Mapping[str, str]
    query: Mapping[str, str]
    authorization: str | None = dataclasses.field(repr=False)
    content: bytes = dataclasses.field(repr=False)
    url: str
    stale_seconds: float = 0.0


class GraphApi:
    """Graph, as far as synchronization needs it.

    Args:
        world: what tenants share.
        tenants: all of them.
        login: knows access tokens.
    """

    def __init__(self, world: World, tenants: Tenants, login: Login) -> None:
        self._world, self._tenants, self._login = world, tenants, login
        self._units, self._on_demand, self._log = Limit(), Limit(), Limit()

    @property
    def _clock(self) -> Callable[[], float]:
        return self._world.clock

    def perform(self, request: GraphRequest) -> Answer:
        """Do it. Raises ``GraphError``."""
        operation, behaviour = request.operation, self._world.behaviour
        grant = self._login.grant(request.authorization)
        tenant = self._tenants[grant.tenant_id]
        self._throttle(operation.right, grant)
        application = _application(tenant, request.names)
        access.check(operation.right, grant, behaviour, application)
        job = _resolve(application, request.names)
        body = _json(request.content) if operation.method != "GET" else None
        if application is not None:
            stale = self._stale(application, request)
            if stale is not None:
                return stale
        call = Call(
            tenant,
            grant,
            behaviour,
            request.names,
            request.query,
            body,
            request.url,
            self._world.schedule.cycle_every.total_seconds(),
            self._clock(),
            application,
            job,
        )
        return operation.handle(call)

    def _throttle(self, right: Right, grant: Grant) -> None:
        behaviour, key, now = self._world.behaviour, (grant.tenant_id, grant.client_id), self._clock()
        limits = [(self._units, behaviour.units_per_ten_seconds)]
        if right is Right.ON_DEMAND:
            limits.append((self._on_demand, behaviour.on_demand_per_ten_seconds))
        if right is Right.READ_LOG:
            limits.append((self._log, behaviour.log_per_ten_seconds))
        for limit, most in limits:
            wait = limit.wait(key, most, now)
            if wait is not None:
                retry_after = max(1, math.ceil(wait)) if behaviour.sends_retry_after else None
                raise GraphError(429, "TooManyRequests", "Too many requests", retry_after)

    def _stale(self, application: Application, request: GraphRequest) -> Answer | None:
        """What a replica answers that has not heard of a write; None when it has, or when it is a write."""
        now = self._clock()
        with application.lock:
            lag = application.lag
            if lag is not None and lag.until <= now:
                lag = application.lag = None
            if lag is not None and "job" in request.names:
                path = f"/synchronization/jobs/{request.names['job']}"
                if path not in lag.reads:
                    raise not_found(request.names["job"])
            if request.operation.method != "GET":
                if request.stale_seconds:
                    seconds = self._world.schedule.cycle_every.total_seconds()
                    reads = lag.reads if lag else views.reads(application, seconds)
                    application.lag = Lag(now + request.stale_seconds, reads)
                return None
        path = request.url.partition(request.names.get("sp") or "?")[2]
        if lag is not None and path in lag.reads:
            return Answer(200, lag.reads[path])
        return None


def _application(tenant: Tenant, names: Mapping[str, str]) -> Application | None:
    if "sp" in names:
        return tenant.applications.get(names["sp"].lower())
    if "app" in names:
        found = (one for one in list(tenant.applications.values()) if one.object_id == names["app"].lower())
        return next(found, None)
    return None


def _resolve(application: Application | None, names: Mapping[str, str]) -> Job | None:
    """The job of the path, once it is clear that the path leads somewhere. Raises ``GraphError`` 404."""
    for name in ("sp", "app"):
        if name in names and application is None:
            raise not_found(names[name])
    if "job" not in names or application is None:
        return None
    job = application.job(names["job"])
    if job is None:
        raise not_found(names["job"])
    return job


def _json(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        raise bad_request("Unable to read JSON request payload.") from None
