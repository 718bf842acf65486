"""Every refusal of the admin API as an ``AdminError``: exceptions on one side, status and code on the other."""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from scim_api.contract.admin import AdminError, AdminErrorCode
from scim_api.contract.signing import SignatureRefused
from scim_api.core import limits
from scim_api.http.admin.context import context_of
from scim_api.http.request import BodyTooLarge, TooManyBodies
from scim_api.store import errors as store_errors
from scim_api.store.errors import StoreError

log = structlog.get_logger(__name__)
_MESSAGES: Final = {
    "path": "namespace and name are Kubernetes names: a-z, 0-9, '-' and '.'",
    "header": "a write needs If-Match with the revision it was decided on",
}
_ORDER: Final = ("path", "query", "body", "header")
"""Of several mistakes in one request, the first of these is reported."""


def register(app: FastAPI) -> None:
    """Make ``app`` answer these exceptions with an ``AdminError``."""
    for error in (SignatureRefused, BodyTooLarge, TooManyBodies, RequestValidationError, StoreError):
        app.add_exception_handler(error, _handle)
    app.add_exception_handler(HTTPException, _handle_unserved)


async def _handle(request: Request, error: Exception) -> Response:
    refusal = _refusal(error)
    if refusal is None:
        raise error
    status, body = refusal
    log.info(
        "admin request refused",
        method=request.method,
        path=request.url.path,
        code=body.code,
        reason=body.message,
    )
    context_of(request).metrics.admin_calls.labels(request.method, body.code).inc()
    return Response(body.model_dump_json(by_alias=True), status, media_type="application/json")


async def _handle_unserved(request: Request, error: Exception) -> Response:
    """A path or method that nobody serves; below ``/admin`` as the operator reads errors."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    if not request.scope["path"].startswith("/admin"):
        return await http_exception_handler(request, error)
    body = AdminError(
        code="NotFound",
        message="nothing is served under this path and method; docs/admin-openapi.json has those that are",
    )
    return Response(
        body.model_dump_json(by_alias=True),
        error.status_code,
        headers=dict(error.headers or {}),
        media_type="application/json",
    )


def _refusal(error: Exception) -> tuple[int, AdminError] | None:
    """The status and body for an exception; None for one that is a fault of the service."""
    match error:
        case SignatureRefused():
            return _error(401, "Unauthorized", str(error))
        case BodyTooLarge():
            return _error(413, "Invalid", f"the body is larger than {limits.MAX_BODY} bytes")
        case RequestValidationError():
            return _error(400, "Invalid", _explanation(error.errors()))
        case store_errors.RevisionMismatch():
            return _error(412, "RevisionMismatch", "it has changed since; read it and decide again")
        case store_errors.SettingsConflict():
            names = ", ".join(error.fields)
            return _error(
                409,
                "SettingsConflict",
                f"{error.other} opens the same tenant with another {names}; give both the same, or this one "
                "a tenant of its own (spec.tenant)",
                error.fields,
            )
        case store_errors.MatchingImmutable():
            return _error(
                409,
                "MatchingImmutable",
                "the tenant exists with another matching, which can't be changed; use another spec.tenant",
                ("matching",),
            )
        case store_errors.AccessImmutable():
            return _error(
                409,
                "AccessImmutable",
                f"{error}, which can't be changed: whoever was given a token to read with could write. Delete it, and make"
                " it anew",
            )
        case store_errors.CredentialRevoked():
            return _error(
                409,
                "CredentialRevoked",
                "a listed credential was revoked and can't come back; issue a new one",
            )
        case store_errors.DigestInUse():
            return _error(409, "DigestInUse", "a listed token belongs to another connection; issue a new one")
        case store_errors.TenantPurging():
            return _error(
                409, "TenantPurging", "the tenant's users are being deleted; wait until that has ended"
            )
        case store_errors.NamespaceMismatch():
            return _error(
                409,
                "NamespaceMismatch",
                f"{error}; its users are not shown to this one. Use another spec.tenant, or have an administrator run "
                "`scim-api connection release-namespace` in a pod of the SCIM API, if they are this namespace's",
            )
        case store_errors.ClientIdInUse():
            return _error(409, "ClientIdInUse", f"{error}; give this connection another client id")
        case store_errors.UnknownTenant():
            return _error(
                409, "TenantNotFound", f"{error}: a ScimToken of this namespace with that spec.tenant"
            )
        case store_errors.TenantImmutable():
            return _error(409, "TenantImmutable", str(error))
        case store_errors.SigningSecretNotFound():
            return _error(
                409,
                "SigningSecretNotFound",
                "a listed signing secret is not here and came without its sealed text; send that, or leave it out",
                error.ids,
            )
        case TooManyBodies():
            return _error(503, "Unavailable", "too many large requests arrive at once; try again")
        case store_errors.Unavailable():
            return _error(503, "Unavailable", "the database does not answer; try again")
        case _:
            return None


def _error(
    status: int, code: AdminErrorCode, message: str, fields: tuple[str, ...] = ()
) -> tuple[int, AdminError]:
    return status, AdminError(code=code, message=message, fields=fields)


def _explanation(errors: Sequence[Any]) -> str:
    """The first mistake of a request in one sentence."""
    first = min(errors, key=lambda item: _ORDER.index(item["loc"][0]))
    part, *path = first["loc"]
    return _MESSAGES.get(part) or f"{'.'.join(map(str, path)) or 'body'}: {first['msg']}"
