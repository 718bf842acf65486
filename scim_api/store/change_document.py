"""A change as applications get it, by the feed and by webhooks alike."""

from typing import Any

import orjson

from scim_api.store.change_log import Change


def change_document(change: Change) -> dict[str, Any]:
    """The members of a change's JSON object, for ``orjson.dumps``."""
    kind, _, _ = change.type.partition(".")
    document = {
        "id": change.id,
        "at": change.at,
        "type": change.type,
        "resourceType": kind.capitalize(),
        "resourceId": change.resource_id,
        "externalId": change.external_id,
        "version": None if change.version is None else f'W/"{change.version}"',
        "paths": None if change.paths is None else orjson.Fragment(change.paths),
        "actor": {"credential": change.credential, "scimToken": change.scim_token},
    }
    if change.member is not None:
        document["member"] = change.member
    return document
