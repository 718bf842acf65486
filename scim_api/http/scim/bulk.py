"""``POST /Bulk``: each operation goes through the handler of the same single request, in turn.

An operation is atomic, the whole is not. Other requests are answered between operations. A bulk request has
a rate limit of its own, so that it never takes from that of single requests.
"""

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from typing import Final

import orjson
import structlog

from scim_api.contract.urns import BULK_RESPONSE
from scim_api.core.errors import ScimError, quoted
from scim_api.core.json_numbers import dumps
from scim_api.core.limits import MAX_PATH
from scim_api.core.messages.bulk import (
    BulkOperation,
    BulkRequest,
    BulkStep,
    InvalidOperation,
    Method,
    order_operations,
    read_bulk,
    resolve_references,
)
from scim_api.core.messages.serialization import location
from scim_api.core.types import ResourceKind
from scim_api.http.endpoint import Handler
from scim_api.http.request import ScimRequest, aside
from scim_api.http.response import MEDIA_TYPE, ScimResponse, error_response, too_many_requests
from scim_api.http.scim.groups import GROUPS
from scim_api.http.scim.users import USERS

log = structlog.get_logger(__name__)
_HANDLERS: Final[Mapping[tuple[Method, ResourceKind], Handler]] = {
    ("POST", "User"): USERS.create,
    ("PUT", "User"): USERS.replace,
    ("PATCH", "User"): USERS.patch,
    ("DELETE", "User"): USERS.delete,
    ("POST", "Group"): GROUPS.create,
    ("PUT", "Group"): GROUPS.replace,
    ("PATCH", "Group"): GROUPS.patch,
    ("DELETE", "Group"): GROUPS.delete,
}
_FAILED: Final = 300


@dataclasses.dataclass(frozen=True, slots=True)
class _Result:
    status: int
    body: bytes = b""
    """Of an error."""
    identity: str | None = None
    version: str | None = None


async def bulk(request: ScimRequest) -> ScimResponse:
    """Do all operations, or as many as failOnErrors allows; 200 with a result of each."""
    limiter, tenant, rate = (
        request.service.limiter,
        request.access.tenant,
        request.access.settings.rate_limit,
    )
    wait = limiter.bulk_wait_seconds(tenant, rate, 0)
    if not wait:
        bulk_request = await aside(read_bulk, request.json())
        wait = limiter.bulk_wait_seconds(tenant, rate, len(bulk_request.operations))
    if wait:
        return too_many_requests(
            f"Bulk requests of this tenant had more than {rate.requests_per_second} operations per second; wait"
            f" {math.ceil(wait)} seconds and repeat.",
            wait,
        )
    results = await _Job(request, bulk_request).run()
    entries = b",".join(
        _entry(request, operation, results[index])
        for index, operation in enumerate(bulk_request.operations)
        if index in results
    )
    return ScimResponse(
        200, b'{"schemas":["' + BULK_RESPONSE.encode() + b'"],"Operations":[' + entries + b"]}"
    )


class _Job:
    """One bulk request under way."""

    def __init__(self, request: ScimRequest, bulk_request: BulkRequest) -> None:
        self._request = request
        self._operations = bulk_request.operations
        self._fail_on_errors = bulk_request.fail_on_errors
        self._results: dict[int, _Result] = {}
        self._incomplete: set[int] = set()
        self._outage: _Result | None = None
        self._ids = {
            operation.bulk_id: operation.target
            for operation in bulk_request.operations
            if isinstance(operation, BulkOperation)
            and operation.bulk_id
            and operation.target
            and not operation.target.startswith("bulkId:")
        }

    async def run(self) -> Mapping[int, _Result]:
        """The results by position; operations that were not begun have none."""
        limit = self._fail_on_errors
        for step in order_operations(self._operations):
            if limit is not None and self._errors() >= limit:
                break
            await self._run_step(step)
            await asyncio.sleep(0)
        for index in sorted(self._incomplete):
            await self._undo(index, _refusal(_stopped()))
        return self._results

    def _errors(self) -> int:
        return sum(1 for result in self._results.values() if result.status >= _FAILED)

    async def _run_step(self, step: BulkStep) -> None:
        operation = self._operations[step.index]
        if isinstance(operation, InvalidOperation):
            self._results[step.index] = _refusal(operation.error)
        elif step.completes:
            if step.index in self._incomplete:
                await self._complete(step.index, operation)
        else:
            result = await self._execute(operation, operation.method, operation.target, step.without)
            self._results[step.index] = result
            if operation.method == "POST" and result.identity is not None and operation.bulk_id is not None:
                self._ids[operation.bulk_id] = result.identity
                if step.without:
                    self._incomplete.add(step.index)

    async def _complete(self, index: int, operation: BulkOperation) -> None:
        """Write the references that had to be left out; a resource that can't be completed is deleted again."""
        result = await self._execute(operation, "PUT", self._results[index].identity, frozenset())
        if result.status >= _FAILED:
            await self._undo(index, result)
            return
        self._incomplete.discard(index)
        self._results[index] = dataclasses.replace(result, status=201, identity=self._results[index].identity)

    async def _undo(self, index: int, result: _Result) -> None:
        operation = self._operations[index]
        identity = self._results[index].identity
        self._incomplete.discard(index)
        self._results[index] = result
        if isinstance(operation, BulkOperation) and identity is not None:
            self._ids.pop(operation.bulk_id or "", None)
            await self._send(operation.kind, "DELETE", identity, b"", None)

    async def _execute(
        self, operation: BulkOperation, method: Method, target: str | None, without: frozenset[str]
    ) -> _Result:
        for name in sorted(operation.references - without):
            if name not in self._ids:
                return _refusal(_unresolved(name))
        data = resolve_references(operation.data, self._ids, without)
        target = resolve_references(target, self._ids)
        version = None if operation.method == "POST" else operation.version
        body = b"" if data is None else dumps(data)
        return await self._send(operation.kind, method, target, body, version)

    async def _send(
        self, kind: ResourceKind, method: Method, target: str | None, body: bytes, version: str | None
    ) -> _Result:
        """Run a single request's handler; after an outage of the database nothing more is tried."""
        if self._outage is not None:
            return self._outage
        headers = {b"content-type": MEDIA_TYPE}
        if version is not None:
            headers[b"if-match"] = version.encode("latin-1", "replace")
        # The resource itself isn't returned, so a group is read without its members.
        query = b"excludedAttributes=members" if kind == "Group" and method in {"POST", "PUT"} else b""
        single = dataclasses.replace(
            self._request, headers=headers, query=query, body=body, resource_id=target or "", document=None
        )
        try:
            response = await _HANDLERS[method, kind](single)
        except Exception as error:
            response = error_response(error)
            if response.status == 500:
                log.exception("bulk operation failed", method=method, kind=kind)
        result = _result(response, target)
        if result.status == 503:
            self._outage = result
        return result


def _result(response: ScimResponse, target: str | None) -> _Result:
    if response.status >= _FAILED:
        return _Result(response.status, response.body if isinstance(response.body, bytes) else b"{}")
    headers = dict(response.headers)
    address, version = headers.get(b"content-location"), headers.get(b"etag")
    identity = target if address is None else address.rpartition(b"/")[2].decode()
    return _Result(response.status, b"", identity, None if version is None else version.decode())


def _refusal(error: ScimError) -> _Result:
    return _Result(error.status, error.body())


def _unresolved(name: str) -> ScimError:
    return ScimError(
        409,
        f"The reference {quoted('bulkId:' + name)} leads to no resource: no POST of this request has that bulkId,"
        " or it failed. Correct that operation and repeat both.",
        "invalidValue",
    )


def _stopped() -> ScimError:
    return ScimError(
        409,
        "The resource was taken back: what it refers to was not created before failOnErrors ended the request.",
        "invalidValue",
    )


def _entry(request: ScimRequest, operation: BulkOperation | InvalidOperation, result: _Result) -> bytes:
    """One operation of the BulkResponse."""
    content: dict[str, object] = {}
    if operation.method is not None:
        content["method"] = operation.method[:MAX_PATH]
    if operation.bulk_id is not None:
        content["bulkId"] = operation.bulk_id
    if result.version is not None:
        content["version"] = result.version
    address = _address(request, operation, result)
    if address is not None:
        content["location"] = address
    content["status"] = str(result.status)
    if result.body:
        content["response"] = orjson.Fragment(result.body)
    return orjson.dumps(content)


def _address(
    request: ScimRequest, operation: BulkOperation | InvalidOperation, result: _Result
) -> str | None:
    """The resource's URL; of a failed operation, that of its path. A failed POST has none."""
    base = request.service.base_url
    if isinstance(operation, BulkOperation) and result.identity is not None:
        return location(operation.kind, result.identity, base)
    if operation.method in {None, "POST"} or not operation.path:
        return None
    return f"{base}/{operation.path.strip('/')[:MAX_PATH]}"
