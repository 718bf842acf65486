"""Webhooks at the SCIM API's admin port."""

from typing import Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from scim_api.contract.webhooks import PutWebhook, Webhook, WebhookPage
from scim_operator.adapters.admin_client import AdminClient, read
from scim_operator.api.custom_object import Key
from scim_operator.planning.ports import ScimApiRejected

_PATH: Final = "/admin/v1/webhooks"
M = TypeVar("M", bound=BaseModel)


class HttpWebhookApi(AdminClient):
    """``webhooks.ports.WebhookApi`` over HTTP."""

    async def get(self, key: Key) -> Webhook:
        """What the API holds for ``key``, also when that is nothing."""
        return await self._ask(Webhook, "GET", _path(key))

    async def put(self, key: Key, desired: PutWebhook, *, revision: str) -> Webhook:
        """Make it so. Raises ``Conflict`` when ``revision`` is not the present one."""
        body = desired.model_dump_json(by_alias=True).encode()
        return await self._ask(Webhook, "PUT", _path(key), body, revision)

    async def delete(self, key: Key, *, revision: str) -> Webhook:
        """Send nothing more and forget it. Raises ``Conflict`` when ``revision`` is not the present one."""
        return await self._ask(Webhook, "DELETE", _path(key), revision=revision)

    async def page(self, *, after: str | None, limit: int) -> WebhookPage:
        """A page of all that exist."""
        path = f"{_PATH}?limit={limit}"
        if after is not None:
            path += f"&after={quote(after, safe='')}"
        return await self._ask(WebhookPage, "GET", path)

    async def _ask(
        self, model: type[M], method: str, path: str, body: bytes = b"", revision: str | None = None
    ) -> M:
        try:
            return read(model, await self._call(method, path, body, revision))
        except ScimApiRejected as error:
            if error.code == "NotFound":
                raise ScimApiRejected(
                    "WebhooksUnsupported", "the SCIM API is of a release without webhooks: upgrade it"
                ) from None
            raise


def _path(key: Key) -> str:
    return f"{_PATH}/{quote(key.namespace, safe='')}/{quote(key.name, safe='')}"
