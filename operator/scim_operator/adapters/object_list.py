"""Lists every object of a kind, page by page."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any, Final

from kubernetes.aio import client

from scim_operator.api.custom_object import GROUP, VERSION, CustomObject, Key

LIST_PAGE: Final = 500
"""Objects in one page of a list."""
LIST_TIMEOUT: Final = 30.0
"""Seconds that one page may take."""


async def list_objects(
    api_client: client.ApiClient,
    kind: type[CustomObject],
    namespaces: Collection[str],
    forbidden: Callable[[str], None],
) -> AsyncIterator[dict[str, Any]]:
    """Every object of a kind as the API server has it, page by page.

    Args:
        api_client: with the right to list them.
        kind: which.
        namespaces: where; empty for all.
        forbidden: called with each of ``namespaces`` in which they may not be listed; the others are listed.

    Raises:
        ApiException: as the Kubernetes client does; 404 when the CRD is gone.
    """
    for namespace in namespaces or (None,):
        try:
            async for item in _list_in(client.CustomObjectsApi(api_client), kind.plural, namespace):
                yield item
        except client.ApiException as error:
            if namespace is None or error.status != 403:
                raise
            forbidden(namespace)


async def list_keys(
    api_client: client.ApiClient,
    kind: type[CustomObject],
    namespaces: Collection[str],
    known: Iterable[Key],
) -> frozenset[Key]:
    """Which objects of a kind there are; of a namespace where they may not be listed, those that are known.

    Raises:
        ApiException: as ``list_objects`` does.
    """
    unlisted: set[str] = set()
    listed = {
        Key(item["metadata"]["namespace"], item["metadata"]["name"])
        async for item in list_objects(api_client, kind, namespaces, unlisted.add)
    }
    return frozenset(listed | {key for key in known if key.namespace in unlisted})


async def _list_in(
    custom: client.CustomObjectsApi, plural: str, namespace: str | None
) -> AsyncIterator[dict[str, Any]]:
    resume: str | None = None
    while True:
        options: dict[str, Any] = {"limit": LIST_PAGE, "_request_timeout": LIST_TIMEOUT}
        if resume:
            options["_continue"] = resume
        page: Any = await (
            custom.list_cluster_custom_object(GROUP, VERSION, plural, **options)
            if namespace is None
            else custom.list_namespaced_custom_object(GROUP, VERSION, namespace, plural, **options)
        )
        for item in page["items"]:
            yield item
        resume = page["metadata"].get("continue")
        if not resume:
            break
