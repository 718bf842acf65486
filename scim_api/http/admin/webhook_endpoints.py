"""``/admin/v1/webhooks``: where the operator writes which webhooks there are, and reads how they do."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from scim_api.contract.admin import Name
from scim_api.contract.webhooks import PutWebhook, Webhook, WebhookPage
from scim_api.http.admin.common import (
    REFUSALS,
    After,
    Responses,
    Revision,
    decoded,
    etag,
    page_limit,
    responses,
    with_etag,
)
from scim_api.http.admin.context import Context
from scim_api.http.admin.signature import SIGNED_JWT, SignedRoute

PAGE_SIZE: Final = 100
"""The most webhooks on a page, and how many without ``limit``: the backlog of each is counted."""
Namespace = Annotated[Name, Path(description="Namespace of the ScimWebhook.")]
WebhookName = Annotated[Name, Path(description="Name of the ScimWebhook.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_SIZE, description="Webhooks on a page."), page_limit(PAGE_SIZE)]
Body = Annotated[PutWebhook, decoded(PutWebhook)]

_WRITE_REFUSALS: Final[Responses] = {
    412: {"description": "`RevisionMismatch`: the webhook is not at the revision in If-Match."},
}
_PUT_REFUSALS: Final[Responses] = {
    409: {
        "description": "`TenantNotFound`, `TenantPurging`, `TenantImmutable`, `NamespaceMismatch` or"
        " `SigningSecretNotFound` (a secret without sealed text that the API does not have; `fields` has the ids): the state"
        " asked for contradicts what the database holds."
    },
}

router = APIRouter(
    prefix="/admin/v1/webhooks",
    tags=["admin"],
    route_class=SignedRoute,
    dependencies=[Depends(SIGNED_JWT)],
    responses=responses(REFUSALS),
)


@router.get("", operation_id="listWebhooks")
async def list_webhooks(context: Context, after: After = None, limit: Limit = PAGE_SIZE) -> WebhookPage:
    """All webhooks, by namespace and name, in pages."""
    return await context.store.webhooks.page(after=after, limit=limit, keep=context.keep_changes)


@router.get("/{namespace}/{name}", operation_id="getWebhook", responses=with_etag({}))
async def get_webhook(
    context: Context, namespace: Namespace, name: WebhookName, response: Response
) -> Webhook:
    """A webhook and how it does; one that does not exist has revision `0`."""
    return _tagged(response, await context.store.webhooks.get(namespace, name, context.keep_changes))


@router.put(
    "/{namespace}/{name}",
    operation_id="putWebhook",
    responses=with_etag(_PUT_REFUSALS | _WRITE_REFUSALS),
)
async def put_webhook(
    context: Context,
    namespace: Namespace,
    name: WebhookName,
    if_match: Revision,
    body: Body,
    response: Response,
) -> Webhook:
    """Replace a webhook's state; a secret that is not listed signs no more."""
    webhook = await context.store.webhooks.put(
        namespace, name, body, if_match=if_match, keep=context.keep_changes
    )
    return _tagged(response, webhook)


@router.delete("/{namespace}/{name}", operation_id="deleteWebhook", responses=with_etag(_WRITE_REFUSALS))
async def delete_webhook(
    context: Context, namespace: Namespace, name: WebhookName, if_match: Revision, response: Response
) -> Webhook:
    """Forget a webhook with what it has not been sent."""
    return _tagged(response, await context.store.webhooks.delete_at(namespace, name, if_match=if_match))


def _tagged(response: Response, webhook: Webhook) -> Webhook:
    response.headers["ETag"] = etag(webhook.revision)
    return webhook
