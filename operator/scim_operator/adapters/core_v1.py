"""The calls to core/v1 that the operator makes, by the names and models of the generated ``CoreV1Api``.

That one imports every type of core/v1, pods and nodes among them: most of a second of a core at each start, and
118 MiB for as long as the process lives. All calls raise ``ApiException``, and aiohttp's errors.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from kubernetes.aio import client

_AUTH: Final = ("BearerToken",)
"""What the generated client signs each call with: a token of the configuration, which it may renew."""
_JSON: Final = "application/json"


class CoreV1:
    """Secrets, Events, ConfigMaps, Namespaces and tokens of ServiceAccounts.

    Args:
        api_client: with the credentials to use; the caller closes it. Timeouts are in seconds.
    """

    def __init__(self, api_client: client.ApiClient) -> None:
        self._api = api_client

    # -- Secrets ------------------------------------------------------------------------------------
    async def read_namespaced_secret(
        self, name: str, namespace: str, *, _request_timeout: float
    ) -> client.V1Secret:
        """One Secret."""
        found: client.V1Secret = await self._call(
            "GET", _path(namespace, "secrets", name), "V1Secret", _request_timeout
        )
        return found

    async def list_namespaced_secret(
        self, namespace: str | None, *, label_selector: str, _request_timeout: float, limit: int | None = None
    ) -> client.V1SecretList:
        """Those that a selector matches, in one namespace or, with None, in all."""
        path = "/api/v1/secrets" if namespace is None else _path(namespace, "secrets")
        query = {"labelSelector": label_selector, "limit": limit}
        found: client.V1SecretList = await self._call(
            "GET", path, "V1SecretList", _request_timeout, query=query
        )
        return found

    async def create_namespaced_secret(
        self,
        namespace: str,
        body: client.V1Secret,
        *,
        _request_timeout: float,
        field_manager: str | None = None,
    ) -> client.V1Secret:
        """As it was stored."""
        made: client.V1Secret = await self._call(
            "POST", _path(namespace, "secrets"), "V1Secret", _request_timeout,
            query={"fieldManager": field_manager}, body=body,
        )  # fmt: skip
        return made

    async def replace_namespaced_secret(
        self, name: str, namespace: str, body: client.V1Secret, *, _request_timeout: float
    ) -> client.V1Secret:
        """As it was stored."""
        written: client.V1Secret = await self._call(
            "PUT", _path(namespace, "secrets", name), "V1Secret", _request_timeout, body=body
        )
        return written

    async def patch_namespaced_secret(
        self,
        name: str,
        namespace: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        _content_type: str,
        _request_timeout: float,
        force: bool | None = None,
    ) -> client.V1Secret:
        """As it was stored."""
        written: client.V1Secret = await self._call(
            "PATCH", _path(namespace, "secrets", name), "V1Secret", _request_timeout,
            query={"fieldManager": field_manager, "force": force}, body=body, content_type=_content_type,
        )  # fmt: skip
        return written

    async def delete_namespaced_secret(
        self, name: str, namespace: str, *, body: client.V1DeleteOptions, _request_timeout: float
    ) -> None:
        """Delete it."""
        await self._call("DELETE", _path(namespace, "secrets", name), "object", _request_timeout, body=body)

    # -- the rest -----------------------------------------------------------------------------------
    async def read_namespace(self, name: str, *, _request_timeout: float) -> client.V1Namespace:
        """One Namespace."""
        found: client.V1Namespace = await self._call("GET", _path(name), "V1Namespace", _request_timeout)
        return found

    async def read_namespaced_config_map(
        self, name: str, namespace: str, *, _request_timeout: float
    ) -> client.V1ConfigMap:
        """One ConfigMap."""
        found: client.V1ConfigMap = await self._call(
            "GET", _path(namespace, "configmaps", name), "V1ConfigMap", _request_timeout
        )
        return found

    async def create_namespaced_config_map(
        self, namespace: str, body: client.V1ConfigMap, *, _request_timeout: float
    ) -> None:
        """Create it."""
        await self._call("POST", _path(namespace, "configmaps"), "object", _request_timeout, body=body)

    async def replace_namespaced_config_map(
        self, name: str, namespace: str, body: client.V1ConfigMap, *, _request_timeout: float
    ) -> None:
        """Replace it, at its resourceVersion."""
        await self._call("PUT", _path(namespace, "configmaps", name), "object", _request_timeout, body=body)

    async def read_namespaced_event(
        self, name: str, namespace: str, *, _request_timeout: float
    ) -> client.CoreV1Event:
        """One Event."""
        found: client.CoreV1Event = await self._call(
            "GET", _path(namespace, "events", name), "CoreV1Event", _request_timeout
        )
        return found

    async def create_namespaced_event(
        self, namespace: str, body: client.CoreV1Event, *, field_manager: str, _request_timeout: float
    ) -> None:
        """Create it."""
        await self._call(
            "POST", _path(namespace, "events"), "object", _request_timeout,
            query={"fieldManager": field_manager}, body=body,
        )  # fmt: skip

    async def patch_namespaced_event(
        self,
        name: str,
        namespace: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        _content_type: str,
        _request_timeout: float,
    ) -> None:
        """Patch it."""
        await self._call(
            "PATCH", _path(namespace, "events", name), "object", _request_timeout,
            query={"fieldManager": field_manager}, body=body, content_type=_content_type,
        )  # fmt: skip

    async def create_namespaced_service_account_token(
        self, name: str, namespace: str, body: client.AuthenticationV1TokenRequest, *, _request_timeout: float
    ) -> client.AuthenticationV1TokenRequest:
        """A token of a ServiceAccount."""
        path = _path(namespace, "serviceaccounts", name, "token")
        issued: client.AuthenticationV1TokenRequest = await self._call(
            "POST", path, "AuthenticationV1TokenRequest", _request_timeout, body=body
        )
        return issued

    async def _call(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        answer: str,
        seconds: float,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        content_type: str = _JSON,
    ) -> Any:
        """One request as the generated client makes it.

        Args:
            method: of HTTP.
            path: escaped.
            answer: the name of its model; ``object`` for JSON as it is.
            seconds: for all of it.
            query: parameters; None: not sent.
            body: a model, or JSON.
            content_type: of the body.
        """
        headers = {"Accept": _JSON, **({"Content-Type": content_type} if body is not None else {})}
        given = [(name, value) for name, value in (query or {}).items() if value is not None]
        request = await self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=given,
            header_params=headers,
            body=body,
            auth_settings=list(_AUTH),
        )
        response = await self._api.call_api(*request, _request_timeout=seconds)
        await response.read()  # type: ignore[no-untyped-call]
        return self._api.response_deserialize(response, {"2XX": answer}).data


def _path(namespace: str, *below: str) -> str:
    """Below a namespace; what a name has that is none of Kubernetes' leads to no other object."""
    return "/api/v1/namespaces/" + "/".join(quote(part, safe="") for part in (namespace, *below))
