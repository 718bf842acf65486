"""Which operation a request is: method and path, and its answer."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from entra_standin.graph.access import Right
from entra_standin.graph.applications import Application, Tenant
from entra_standin.graph.behaviour import Behaviour
from entra_standin.graph.jobs import Job
from entra_standin.graph.login import Grant

_NAME: Final = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What goes back; ``body`` None is an empty one."""

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


NO_CONTENT: Final = Answer(204)


@dataclasses.dataclass(frozen=True)
class Call:
    """A request whose caller may make it.

    Attributes:
        tenant: of the token.
        grant: the token's.
        behaviour: of the cloud.
        names: from the path.
        query: its options.
        body: JSON, or None.
        url: of the resource, without a query.
        cycle_seconds: between the cycles of a healthy job.
        now: POSIX time.
    """

    tenant: Tenant
    grant: Grant
    behaviour: Behaviour
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = dataclasses.field(repr=False)
    url: str
    cycle_seconds: float
    now: float
    found: Application | None = None
    found_job: Job | None = None

    @property
    def application(self) -> Application:
        """Of the path."""
        assert self.found is not None
        return self.found

    @property
    def job(self) -> Job:
        """Of the path."""
        assert self.found_job is not None
        return self.found_job


Handler = Callable[[Call], Answer]


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of Graph.

    Attributes:
        method: of HTTP.
        template: the path below the version, with names in braces: ``sp`` is a service principal's object id,
            ``app`` a registration's, ``job`` a job's.
        right: what it needs.
        handle: does it.
        waits: whether it asks the SCIM endpoint, so that it runs in a thread of its own.
        versions: of the API.
    """

    method: str
    template: str
    right: Right
    handle: Handler
    waits: bool = False
    versions: tuple[str, ...] = ("v1.0", "beta")

    def pattern(self) -> re.Pattern[str]:
        """What its path below the version matches."""
        text, end = "", 0
        for name in _NAME.finditer(self.template):
            text += re.escape(self.template[end : name.start()]) + f"(?P<{name[1]}>[^/]+)"
            end = name.end()
        return re.compile(text + re.escape(self.template[end:]))


class Router:
    """Finds the operation of a request."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._routes = [(operation.pattern(), operation) for operation in operations]

    def find(self, method: str, version: str, path: str) -> tuple[str, Operation | None, Mapping[str, str]]:
        """The template, "" when there is none; the operation, None for another method; the names of the path."""
        template = ""
        for pattern, operation in self._routes:
            match = pattern.fullmatch(path)
            if match is None or version not in operation.versions:
                continue
            template = template or operation.template
            if operation.method == method:
                return operation.template, operation, match.groupdict()
        return template, None, {}
