"""Signed calls to the SCIM API's admin port, and its answers as models."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ValidationError

from scim_api.contract.admin import AdminError
from scim_api.contract.signing import sign, utc_now
from scim_operator.planning.ports import Conflict, ScimApiRejected, ScimApiUnreachable

CALL_SECONDS: Final = 5.0


class AdminClient:
    """Calls the admin port, each call signed.

    Args:
        base_url: the API's internal port, such as ``http://scim-api-internal:8081``.
        key: the operator's private key.
        installation_id: whom the calls are meant for.
        client: shared by all calls.
        clock: the operator's, UTC; for the signature alone.
    """

    def __init__(
        self,
        base_url: str,
        key: Ed25519PrivateKey,
        installation_id: str,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._base_url, self._key, self._installation_id = base_url.rstrip("/"), key, installation_id
        self._client, self._clock = client, clock

    async def _call(
        self, method: str, path: str, body: bytes = b"", revision: str | None = None
    ) -> httpx.Response:
        signature = sign(
            self._key,
            audience=self._installation_id,
            method=method,
            target=path,
            body=body,
            if_match=revision,
            now=self._clock(),
        )
        headers = {"authorization": f"Bearer {signature}"}
        if body:
            headers["content-type"] = "application/json"
        if revision is not None:
            headers["if-match"] = f'"{revision}"'
        try:
            answer = await self._client.request(
                method, self._base_url + path, content=body or None, headers=headers, timeout=CALL_SECONDS
            )
        except httpx.HTTPError as error:
            raise ScimApiUnreachable(
                f"the SCIM API at {self._base_url} does not answer ({type(error).__name__}); see its pods and log"
            ) from None
        if answer.status_code >= 500:
            raise ScimApiUnreachable(
                f"the SCIM API at {self._base_url} answered {answer.status_code}; see its log"
            )
        if answer.status_code >= 400:
            _refuse(answer, self._base_url)
        return answer


M = TypeVar("M", bound=BaseModel)


def read(model: type[M], answer: httpx.Response) -> M:
    """The body as a model. Raises ``ScimApiUnreachable`` for what is none."""
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise ScimApiUnreachable(
            f"{answer.request.url.host} did not answer as the admin API does; does SCIM_OPERATOR_ADMIN_URL name it?"
        ) from None


def _refuse(answer: httpx.Response, base_url: str) -> None:
    try:
        error = AdminError.model_validate_json(answer.content)
    except ValidationError:
        raise ScimApiUnreachable(
            f"{base_url} answered {answer.status_code} and not as the admin API does; does SCIM_OPERATOR_ADMIN_URL name it?"
        ) from None
    if answer.status_code == 412:
        raise Conflict(error.message)
    raise ScimApiRejected(error.code, error.message, error.fields)
