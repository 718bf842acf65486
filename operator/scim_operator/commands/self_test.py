"""``scim-operator self-test``: whether an installation does what it is for, seen from where Entra stands.

A ScimToken is created; with the token from its Secret comes what Entra's Test Connection asks, then one user's
life, and a question to the token endpoint; then all of it is deleted.
"""

import asyncio
import base64
import dataclasses
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

import aiohttp
import httpx
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.oauth import SCIM_PATH, TOKEN_PATH, token_endpoint
from scim_api.contract.urns import CORE_USER, LIST_RESPONSE, PATCH_OP
from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.endpoint_probe import verdict_of_exception
from scim_operator.api.custom_object import API_VERSION, GROUP, VERSION, Key
from scim_operator.api.scimtoken import KIND, PLURAL
from scim_operator.planning.endpoint_verdict import verdict_of_response

_SCIM_TYPE: Final = "application/scim+json"
_POLL_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 10.0
_CLEANING_SECONDS: Final = 60.0
_NOT_FOUND: Final = 404

T = TypeVar("T")


class SelfTestFailed(Exception):
    """A step failed; the message says which, and where to look."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What is tested, and how long that may take."""

    key: Key
    """The ScimToken to make; one of this name that an earlier run left is replaced."""
    url: str | None = None
    """SCIM base URL to use instead of the one in the Secret."""
    ca_file: str | None = None
    """Certificates of the authorities to trust, PEM; None for the usual ones."""
    seconds: float = 180.0
    """For all steps but the cleaning."""


class SelfTest:
    """One run.

    Args:
        kube: with the right to get, create and delete ScimTokens, and to get the Secret.
        http: for the requests to the endpoint.
        settings: what to do.
        say: called for each step that succeeded.
        pause: waits some seconds.
    """

    def __init__(
        self,
        kube: client.ApiClient,
        http: httpx.AsyncClient,
        settings: Settings,
        say: Callable[[str], None],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._pause = pause
        self._custom, self._core = client.CustomObjectsApi(kube), CoreV1(kube)
        self._http, self._settings, self._key, self._say = http, settings, settings.key, say
        self._waiting_for = "Kubernetes"

    async def run(self) -> None:
        """All steps, then the cleaning, whatever became of them.

        Raises:
            SelfTestFailed: with the step that failed.
        """
        failures = [
            failure
            for failure in (
                await self._failure_of(self._settings.seconds, self._steps),
                await self._failure_of(_CLEANING_SECONDS, self._clean),
            )
            if failure is not None
        ]
        if failures:
            raise SelfTestFailed("; then ".join(dict.fromkeys(failures)))
        self._say("everything that was made is gone again")

    async def _failure_of(self, seconds: float, part: Callable[[], Awaitable[None]]) -> str | None:
        """Do a part; what failed in it, in a sentence."""
        try:
            async with asyncio.timeout(seconds):
                await part()
        except TimeoutError:
            return f"not within {seconds:g} s: {self._waiting_for}"
        except SelfTestFailed as error:
            return str(error)
        except ApiException as error:
            return _explained(error)
        except aiohttp.ClientError as error:
            return f"the Kubernetes API does not answer ({type(error).__name__})"
        return None

    async def _steps(self) -> None:
        await self._clean()
        await self._create()
        ready = await self._ready()
        self._say(f"ScimToken {self._key} is Ready")
        base_url, token = await self._credentials(ready)
        self._say(f"Secret {ready['status']['secretName']} holds an endpoint and a token")
        scim = Scim(self._http, base_url, token)
        await self._until(f"Test Connection at {base_url}", scim.test_connection)
        self._say(f"Test Connection succeeds at {base_url}")
        await scim.life(self._say)
        await self._until(f"the token endpoint of {base_url}", scim.token_endpoint)
        self._say("the token endpoint refuses who has no credentials (RFC 6749)")

    # -- Kubernetes

    async def _create(self) -> None:
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            # A tenant that was never there: one of an earlier run may still be being erased.
            "spec": {
                "tenant": f"{self._key.name}-{secrets.token_hex(4)}",
                "lifetime": "1h",
                "deletionPolicy": "Delete",
            },
        }
        await self._custom.create_namespaced_custom_object(
            GROUP, VERSION, self._key.namespace, PLURAL, body, _request_timeout=_CALL_SECONDS
        )
        self._say(f"ScimToken {self._key} is created")

    async def _read(self) -> dict[str, Any] | None:
        try:
            return cast(
                "dict[str, Any]",
                await self._custom.get_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    self._key.namespace,
                    PLURAL,
                    self._key.name,
                    _request_timeout=_CALL_SECONDS,
                ),
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def _ready(self) -> dict[str, Any]:
        async def read_condition() -> dict[str, Any]:
            scimtoken = await self._read()
            if scimtoken is None:
                raise NotYet(f"somebody deleted ScimToken {self._key}")
            verdict = _condition(scimtoken, "Ready")
            if verdict.get("status") != "True":
                why = (
                    f"{verdict['reason']}: {verdict['message']}"
                    if verdict
                    else "no operator has reconciled it"
                )
                raise NotYet(f"{why} (kubectl describe sct/{self._key.name} -n {self._key.namespace})")
            return scimtoken

        return await self._until(f"ScimToken {self._key} is not Ready", read_condition)

    async def _credentials(self, token: Mapping[str, Any]) -> tuple[str, str]:
        name = token["status"]["secretName"]
        secret = await self._core.read_namespaced_secret(
            name, self._key.namespace, _request_timeout=_CALL_SECONDS
        )
        data = secret.data or {}
        missing = [key for key in ("endpoint", "token") if not data.get(key)]
        if missing:
            raise SelfTestFailed(f"Secret {self._key.namespace}/{name} has no {' and no '.join(missing)}")
        said = base64.b64decode(data["endpoint"]).decode()
        return (self._settings.url or said).rstrip("/"), base64.b64decode(data["token"]).decode()

    async def _clean(self) -> None:
        """Delete the ScimToken, and wait until it is gone: with it its token and its user."""
        try:
            await self._custom.delete_namespaced_custom_object(
                GROUP, VERSION, self._key.namespace, PLURAL, self._key.name, _request_timeout=_CALL_SECONDS
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return
            raise

        async def gone() -> None:
            scimtoken = await self._read()
            if scimtoken is not None:
                verdict = _condition(scimtoken, "Ready")
                raise NotYet(str(verdict.get("message", "its finalizer is still there")))

        await self._until(f"ScimToken {self._key} does not go away", gone)

    async def _until(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds; the time is limited by ``run``."""
        while True:
            self._waiting_for = what
            try:
                return await attempt()
            except NotYet as error:
                self._waiting_for = f"{what}: {error}"
            await self._pause(_POLL_SECONDS)


class NotYet(Exception):
    """It may still come."""


class Scim:
    """The endpoint, as a client with a token sees it."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, token: str) -> None:
        self._http, self._base_url = http, base_url
        self._headers = {"authorization": f"Bearer {token}", "accept": _SCIM_TYPE}

    async def test_connection(self) -> None:
        """What Entra asks: for a user who can't be there. An Ingress that is new may need a moment."""
        try:
            answer = await self._ask("GET", "/Users", params={"filter": f'userName eq "{uuid.uuid4()}"'})
        except (httpx.HTTPError, OSError) as error:
            raise NotYet(verdict_of_exception(self._base_url, error).message) from None
        if answer.status_code == 401:
            raise SelfTestFailed(
                f"{self._base_url} answers 401 to the token from the Secret: it leads to another installation, or a "
                "proxy takes the Authorization header away"
            )
        if answer.status_code != 200:
            verdict = verdict_of_response(
                self._base_url, answer.status_code, answer.content, answer.headers.get("location")
            )
            raise NotYet(verdict.message)
        body = _json(answer)
        if body.get("schemas") != [LIST_RESPONSE] or body.get("totalResults") != 0:
            raise SelfTestFailed(f"{self._base_url} answers 200, but not as a SCIM API does")

    async def token_endpoint(self) -> None:
        """Where Entra gets access tokens: without credentials it refuses in the form of RFC 6749 section 5.2."""
        url = token_endpoint(self._base_url)
        form = {"grant_type": "client_credentials"}
        try:
            answer = await self._http.post(url, data=form, timeout=_CALL_SECONDS)
        except (httpx.HTTPError, OSError) as error:
            raise NotYet(verdict_of_exception(url, error).message) from None
        if answer.status_code == _NOT_FOUND:
            raise NotYet(f"{url} answers 404: let the Ingress pass {TOKEN_PATH} on as well as {SCIM_PATH}")
        if answer.status_code >= 500:
            raise NotYet(f"{url} answers {answer.status_code}")
        if answer.status_code not in (400, 401) or not isinstance(_json(answer).get("error"), str):
            raise SelfTestFailed(
                f"{url} answers {answer.status_code}, but not as a token endpoint does: something else is there"
            )

    async def life(self, say: Callable[[str], None]) -> None:
        """One user is created, found, disabled and deleted."""
        mail = f"self-test-{secrets.token_hex(4)}@example.com"
        user = {
            "schemas": [CORE_USER],
            "userName": mail,
            "externalId": str(uuid.uuid4()),
            "active": True,
            "name": {"givenName": "Self", "familyName": "Test"},
            "emails": [{"type": "work", "primary": True, "value": mail}],
        }
        created = await self._expect(201, "POST", "/Users", body=user)
        path = f"/Users/{_json(created)['id']}"
        say("a user is created (POST 201)")
        matches = _json(await self._expect(200, "GET", "/Users", params={"filter": f'userName eq "{mail}"'}))
        if matches.get("totalResults") != 1:
            raise SelfTestFailed(
                f"the user is found {matches.get('totalResults')} times by userName, not once"
            )
        read = _json(await self._expect(200, "GET", path))
        if (read["userName"], read["active"]) != (mail, True):
            raise SelfTestFailed("the user is not read back as it was written")
        say("it is found by userName and read back (GET 200)")
        change = {
            "schemas": [PATCH_OP],
            "Operations": [{"op": "Replace", "path": "active", "value": False}],
        }
        await self._expect(200, "PATCH", path, body=change)
        if _json(await self._expect(200, "GET", path))["active"] is not False:
            raise SelfTestFailed("the user was disabled (PATCH active), but is still active")
        say("it is disabled (PATCH 200)")
        await self._expect(204, "DELETE", path)
        await self._expect(404, "GET", path)
        say("it is deleted (DELETE 204, then GET 404)")

    async def _expect(self, status: int, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._ask(method, path, **request)
        except (httpx.HTTPError, OSError) as error:
            raise SelfTestFailed(
                f"{method} {path}: {verdict_of_exception(self._base_url, error).message}"
            ) from None
        if answer.status_code != status:
            raise SelfTestFailed(
                f"{method} {path} was answered {answer.status_code}, not {status}: {answer.text[:500]}"
            )
        return answer

    async def _ask(
        self, method: str, path: str, *, body: object = None, params: dict[str, str] | None = None
    ) -> httpx.Response:
        headers = self._headers if body is None else {**self._headers, "content-type": _SCIM_TYPE}
        return await self._http.request(
            method,
            self._base_url + path,
            content=None if body is None else json.dumps(body),
            params=params,
            headers=headers,
            timeout=_CALL_SECONDS,
        )


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SelfTestFailed(f"{answer.request.url.host} answers {answer.status_code} without a JSON object")
    return body


def _condition(token: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = (token.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition["type"] == kind), {})


def _explained(error: ApiException) -> str:
    match error.status:
        case 403:
            return f"not permitted: get, create and delete on {PLURAL}.{GROUP}, and get on its Secret, are needed"
        case 404:
            return f"the CRD {PLURAL}.{GROUP} or the namespace is not there"
        case _:
            return f"the Kubernetes API answered {error.status} {error.reason}"
