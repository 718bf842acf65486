"""The SCIM API as the operator sees it: the admin port, and Entra's Test Connection on the public one."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import httpx

from scim_api.contract.admin import Connection, ConnectionPage, PutConnection
from scim_api.contract.oauth import token_endpoint
from scim_api.contract.proof import PROOF_AGENT, PROOF_HEADER
from scim_api.contract.signing import sign_proof
from scim_api.contract.tokens import digest, kind_of
from scim_api.contract.urns import LIST_RESPONSE
from scim_operator.adapters.admin_client import CALL_SECONDS, AdminClient, read
from scim_operator.planning.ports import Key, ScimApiUnreachable, VerificationFailed

_OAUTH_ERROR: Final = re.compile(r"[a-z_]{1,40}")
"""The ``error`` of RFC 6749 section 5.2; nothing else of an answer is repeated."""


class HttpAdminApi(AdminClient):
    """``ports.AdminApi`` over HTTP."""

    async def get(self, key: Key) -> Connection:
        """What the API holds for ``key``, also when that is nothing."""
        return read(Connection, await self._call("GET", _path(key)))

    async def put(self, key: Key, desired: PutConnection, *, revision: str) -> Connection:
        """Make it so. Raises ``Retry`` when ``revision`` is not the present one."""
        body = desired.model_dump_json(by_alias=True).encode()
        return read(Connection, await self._call("PUT", _path(key), body, revision))

    async def delete(self, key: Key, *, revision: str) -> Connection:
        """Revoke all its tokens and forget it. Raises ``Retry`` when ``revision`` is not the present one."""
        return read(Connection, await self._call("DELETE", _path(key), revision=revision))

    async def page(self, *, after: str | None, limit: int) -> ConnectionPage:
        """A page of all that exist."""
        path = f"/admin/v1/connections?limit={limit}"
        if after is not None:
            path += f"&after={quote(after, safe='')}"
        return read(ConnectionPage, await self._call("GET", path))

    def sign_proof(self, method: str, target: str, credential: str) -> str:
        """What makes a sign-in with ``credential`` known as the operator's own, which is no use of it.

        Args:
            method: the HTTP method, upper case.
            target: path and query as sent.
            credential: the plaintext; its digest alone goes into the signature.
        """
        return sign_proof(
            self._key,
            audience=self._installation_id,
            method=method,
            target=target,
            credential=digest(credential),
            now=self._clock(),
        )


def _path(key: Key) -> str:
    return f"/admin/v1/connections/{quote(key.namespace, safe='')}/{quote(key.name, safe='')}"


class HttpCredentialVerifier:
    """``ports.CredentialVerifier``: asks for a user who can't exist, as Entra does before every cycle.

    Args:
        scim_url: the SCIM base URL as the operator reaches it.
        client: shared by all calls.
        sign: see ``HttpAdminApi.sign_proof``.
    """

    def __init__(
        self, scim_url: str, client: httpx.AsyncClient, sign: Callable[[str, str, str], str]
    ) -> None:
        self._scim_url, self._client, self._sign = scim_url.rstrip("/"), client, sign

    async def verify(self, token: str, client_id: str | None = None) -> None:
        """Entra's Test Connection: 200 with an empty ListResponse, after an access token was fetched for a client secret.

        Args:
            token: a bearer token, or a client secret.
            client_id: whose client secret it is; None for a bearer token.

        Raises:
            VerificationFailed, ScimApiUnreachable: with a message that has neither the secret nor an access token in it.
        """
        await self._test_connection(
            token if client_id is None else await self._access_token(client_id, token)
        )

    async def _access_token(self, client_id: str, secret: str) -> str:
        """What the token endpoint gives for a client secret (RFC 6749 section 4.4), sent as HTTP Basic."""
        url = token_endpoint(self._scim_url)
        request = self._client.build_request(
            "POST",
            url,
            data={"grant_type": "client_credentials"},
            headers={"user-agent": PROOF_AGENT, "accept": "application/json"},
            timeout=CALL_SECONDS,
        )
        answer = await self._send(request, url, secret, httpx.BasicAuth(client_id, secret))
        content = _json_object(answer)
        if answer.status_code != 200:
            code = str(content.get("error", ""))
            told = f" {code}" if _OAUTH_ERROR.fullmatch(code) else ""
            raise VerificationFailed(
                f"{url} answered {answer.status_code}{told} to a token request with the new client secret"
            )
        token, scheme = content.get("access_token"), content.get("token_type")
        if not isinstance(token, str) or kind_of(token) != "AccessToken" or str(scheme).lower() != "bearer":
            raise VerificationFailed(
                f"{url} does not answer as a token endpoint; does it lead to another service?"
            )
        return token

    async def _test_connection(self, token: str) -> None:
        request = self._client.build_request(
            "GET",
            f"{self._scim_url}/Users",
            params={"filter": f'userName eq "{uuid.uuid4()}"'},
            headers={"authorization": f"Bearer {token}", "user-agent": PROOF_AGENT},
            timeout=CALL_SECONDS,
        )
        answer = await self._send(request, self._scim_url, token)
        if answer.status_code != 200:
            raise VerificationFailed(
                f"{self._scim_url} answered {answer.status_code} to Test Connection with the new token"
            )
        content = _json_object(answer)
        if content.get("schemas") != [LIST_RESPONSE] or content.get("totalResults") != 0:
            raise VerificationFailed(
                f"{self._scim_url} does not answer as a SCIM server; does it lead to another service?"
            )

    async def _send(
        self, request: httpx.Request, url: str, credential: str, auth: httpx.Auth | None = None
    ) -> httpx.Response:
        """Send what is signed as the operator's own. Raises ``ScimApiUnreachable``."""
        request.headers[PROOF_HEADER] = self._sign(request.method, request.url.raw_path.decode(), credential)
        try:
            answer = await self._client.send(request, auth=auth)
        except httpx.HTTPError as error:
            raise ScimApiUnreachable(f"{url} does not answer ({type(error).__name__})") from None
        if answer.status_code >= 500:
            raise ScimApiUnreachable(f"{url} answered {answer.status_code}; see its log")
        return answer


def _json_object(answer: httpx.Response) -> Mapping[str, object]:
    """The JSON object of the body; an empty one when it is something else."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
