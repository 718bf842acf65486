"""``/admin/v1``: where the operator writes which credentials are accepted. Internal port only.

Every call is signed (``scim_api.contract.signing``) and every write carries the revision it was decided on.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from scim_api.contract.admin import AdminError, AdminErrorCode, Connection, ConnectionPage, PutConnection
from scim_api.contract.signing import SignatureRefused, verify
from scim_api.core import limits
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.store import errors as store_errors
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import Store

log = structlog.get_logger(__name__)
PAGE: Final = 500
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class _Refused(Exception):
    def __init__(self, status: int, code: AdminErrorCode, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.error = AdminError(code=code, message=message, fields=fields)


def _refusal(error: Exception) -> _Refused:
    """Every store error as an answer of the admin API."""
    match error:
        case _Refused():
            return error
        case SignatureRefused():
            return _Refused(401, "Unauthorized", str(error))
        case store_errors.RevisionMismatch():
            return _Refused(
                412, "RevisionMismatch", "the connection has changed since; read it and decide again"
            )
        case store_errors.SettingsConflict():
            names = ", ".join(error.fields)
            return _Refused(
                409,
                "SettingsConflict",
                f"{error.other} opens the same tenant with another {names}; give both the same, or this one "
                "a tenant of its own (spec.tenant)",
                error.fields,
            )
        case store_errors.MatchingImmutable():
            return _Refused(
                409,
                "MatchingImmutable",
                "the tenant exists with another matching, which can't be changed; use another spec.tenant",
                ("matching",),
            )
        case store_errors.CredentialRevoked():
            return _Refused(
                409,
                "CredentialRevoked",
                "a listed credential was revoked and can't come back; issue a new one",
            )
        case store_errors.DigestInUse():
            return _Refused(
                409, "DigestInUse", "a listed token belongs to another connection; issue a new one"
            )
        case store_errors.TenantPurging():
            return _Refused(
                409, "TenantPurging", "the tenant's users are being deleted; wait until that has ended"
            )
        case Unavailable():
            return _Refused(503, "Unavailable", "the database does not answer; try again")
        case ValidationError():
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            return _Refused(400, "Invalid", f"{where}: {first['msg']}")
        case _:
            raise error


class Admin:
    """The admin API's endpoints over one store."""

    def __init__(self, store: Store, credentials: Authenticator, keys: TrustedKeys, metrics: Metrics) -> None:
        self._store, self._credentials, self._keys, self._metrics = store, credentials, keys, metrics
        self._claimed: str | None = None

    def register(self, app: FastAPI) -> None:
        """Add the routes."""
        one = "/admin/v1/connections/{namespace}/{name}"
        for method, path, work in (
            ("GET", "/admin/v1/connections", self._list),
            ("GET", one, self._get),
            ("PUT", one, self._put),
            ("DELETE", one, self._delete),
        ):
            app.add_api_route(path, self._guarded(work), methods=[method], include_in_schema=False)

    def _guarded(
        self, work: Callable[[Request, bytes], Awaitable[Connection | ConnectionPage]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            code: str = "OK"
            try:
                body = await self._authenticated_body(request)
                answer = await work(request, body)
                response = Response(answer.model_dump_json(by_alias=True), media_type="application/json")
                if isinstance(answer, Connection):
                    response.headers["ETag"] = f'"{answer.revision}"'
            except Exception as error:  # noqa: BLE001 (sorted out by _refusal, which re-raises what it does not know)
                refused = _refusal(error)
                code = refused.error.code
                log.info(
                    "admin call refused",
                    method=request.method,
                    path=request.url.path,
                    code=code,
                    reason=refused.error.message,
                )
                response = Response(
                    refused.error.model_dump_json(by_alias=True),
                    refused.status,
                    media_type="application/json",
                )
            self._metrics.admin_calls.labels(request.method, code).inc()
            return response

        return endpoint

    async def _authenticated_body(self, request: Request) -> bytes:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.MAX_BODY:
                raise _Refused(413, "Invalid", f"the body is larger than {limits.MAX_BODY} bytes")
        installation = self._keys.installation
        if installation is None:
            raise _Refused(
                401, "Unauthorized", "no operator has published its key here yet (--admin-keys-dir)"
            )
        header = request.headers.get("authorization", "")
        if not header.startswith("Bearer "):
            raise _Refused(401, "Unauthorized", "the call carries no signature")
        query = request.scope["query_string"].decode("latin-1")
        path = request.scope["raw_path"].decode("latin-1")
        verify(
            header.removeprefix("Bearer "),
            self._keys.find,
            audience=installation,
            method=request.method,
            target=f"{path}?{query}" if query else path,
            body=body,
            if_match=_if_match(request),
        )
        if self._claimed != installation:
            owner = await self._store.claim(installation)
            if owner != installation:
                raise _Refused(
                    401,
                    "Unauthorized",
                    f"the database belongs to installation {owner}; one database serves one installation",
                )
            self._claimed = installation
        return body

    async def _list(self, request: Request, _body: bytes) -> ConnectionPage:
        limit = request.query_params.get("limit", str(PAGE))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= PAGE):
            raise _Refused(400, "Invalid", f"limit must be between 1 and {PAGE}")
        return await self._store.connections(after=request.query_params.get("after"), limit=int(limit))

    async def _get(self, request: Request, _body: bytes) -> Connection:
        return await self._store.connection(*_names(request))

    async def _put(self, request: Request, body: bytes) -> Connection:
        namespace, name = _names(request)
        wanted = PutConnection.model_validate_json(body)
        connection = await self._store.put_connection(
            namespace, name, wanted, if_match=_required_if_match(request)
        )
        self._credentials.invalidate()
        return connection

    async def _delete(self, request: Request, _body: bytes) -> Connection:
        namespace, name = _names(request)
        connection = await self._store.delete_connection(
            namespace, name, if_match=_required_if_match(request)
        )
        self._credentials.invalidate()
        return connection


def _names(request: Request) -> tuple[str, str]:
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    for value in (namespace, name):
        if _NAME.fullmatch(value) is None:
            raise _Refused(400, "Invalid", "namespace and name are Kubernetes names: a-z, 0-9, '-' and '.'")
    return namespace, name


def _if_match(request: Request) -> str | None:
    value = request.headers.get("if-match")
    return None if value is None else value.strip().strip('"')


def _required_if_match(request: Request) -> str:
    revision = _if_match(request)
    if not revision:
        raise _Refused(400, "Invalid", "a write needs If-Match with the revision it was decided on")
    return revision
