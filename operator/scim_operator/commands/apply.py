"""``scim-operator apply``: ScimTokens from a file, by server-side apply.

For the chart: beside its kind in one release a ScimToken fails, and as a plain hook it would be deleted, and its
tokens with it, before each upgrade. So a hook runs this.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import aiohttp
import structlog
import yaml
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.backoff import Backoff
from scim_operator.api.custom_object import API_VERSION, GROUP, VERSION, Key
from scim_operator.api.scimtoken import KIND, PLURAL

log = structlog.get_logger(__name__)

FIELD_MANAGER: Final = "scim-operator-apply"
"""Its fields are told apart from those that people write and from the operator's status."""
PATIENCE: Final = 60.0
"""Seconds for which the kind may not be served yet, or the API server may fail."""
BACKOFF: Final = Backoff(first=0.5, longest=5.0)
_CALL_SECONDS: Final = 10.0
_CONNECTION_ERRORS: Final = (aiohttp.ClientError, TimeoutError)
_TRANSIENT_STATUSES: Final = frozenset({404, 409, 429, 500, 502, 503, 504})
"""404 is the kind that is not served yet as well as a namespace that is not there."""

Document = dict[str, Any]


class NotApplied(Exception):
    """The file is wrong or Kubernetes refused it; the message says what to write."""


def read(text: str, *, namespace: str) -> list[Document]:
    """The ScimTokens of a YAML text; those that name no namespace get ``namespace``.

    Raises:
        NotApplied: it is no YAML, or holds something else than ScimTokens.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise NotApplied(f"the file is no YAML: {error}") from None
    return [_checked(document, number, namespace) for number, document in enumerate(documents, 1)]


def _checked(document: object, number: int, namespace: str) -> Document:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (
        API_VERSION,
        KIND,
    ):
        raise NotApplied(f"document {number} is no {KIND}: write apiVersion: {API_VERSION} and kind: {KIND}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise NotApplied(f"document {number} has no metadata.name")
    return {**document, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}


def document_key(document: Mapping[str, Any]) -> Key:
    """Whose document it is."""
    return Key(document["metadata"]["namespace"], document["metadata"]["name"])


async def apply(
    kube: client.ApiClient,
    documents: Iterable[Document],
    *,
    say: Callable[[str], None],
    backoff: Backoff = BACKOFF,
    patience: float = PATIENCE,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Create or change each, so that it is as its document says; what others set beside that stays.

    Args:
        kube: with the right to get, create and patch ScimTokens in their namespaces.
        documents: as ``read`` gives them.
        say: called for each.
        backoff: pauses between attempts, for what may mend itself.
        patience: seconds of pauses in all, for each document.
        pause: waits some seconds.

    Raises:
        NotApplied: with what to do.
    """
    custom = client.CustomObjectsApi(kube)
    for document in documents:
        await _apply(custom, document, backoff, patience, pause)
        say(f"{document_key(document)} is applied")


async def _apply(
    custom: client.CustomObjectsApi,
    document: Document,
    backoff: Backoff,
    patience: float,
    pause: Callable[[float], Awaitable[object]],
) -> None:
    key, failures, paused, reported = document_key(document), 0, 0.0, ""
    while True:
        try:
            await custom.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                key.namespace,
                PLURAL,
                key.name,
                document,
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=_CALL_SECONDS,
            )
            return
        except ApiException as error:
            problem = _explained(key, error)
            if error.status not in _TRANSIENT_STATUSES:
                raise NotApplied(problem) from None
        except _CONNECTION_ERRORS as error:
            problem = f"{key}: the Kubernetes API did not answer ({type(error).__name__})"
        failures += 1
        if paused >= patience:
            raise NotApplied(problem)
        if problem != reported:
            log.info("not applied yet", reason=problem)
            reported = problem
        seconds = min(backoff.seconds(failures), patience - paused)
        paused += seconds
        await pause(seconds)


def _explained(key: Key, error: ApiException) -> str:
    message = ""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        message = str(json.loads(error.body or "{}").get("message", ""))
    match error.status:
        case 403:
            return (
                f"{key}: not permitted; get, create and patch on {PLURAL}.{GROUP} are needed there: {message}"
            )
        case 404:
            return f"{key}: there is no namespace {key.namespace}, or the CRD {PLURAL}.{GROUP} is not installed: {message}"
        case _:
            return f"{key}: Kubernetes answered {error.status}: {message or error.reason}"
