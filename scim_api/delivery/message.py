"""The body of a webhook's message: the change as the feed has it and, with Full, the resource as SCIM renders it."""

from typing import Final

import orjson

from scim_api.core.messages.serialization import serialize_resource
from scim_api.core.model import Resource
from scim_api.core.types import ResourceKind
from scim_api.store.webhooks import PING, Delivery

_KINDS: Final[dict[str, ResourceKind]] = {"user": "User", "group": "Group"}


def kind_of(delivery: Delivery) -> ResourceKind | None:
    """The kind of the resource that a delivery is about; None for a ping."""
    return None if delivery.type == PING else _KINDS[delivery.type.partition(".")[0]]


def thin_body(delivery: Delivery) -> bytes:
    """A body with the change alone."""
    return _body(delivery, orjson.Fragment(delivery.data))


def full_body(delivery: Delivery, resource: Resource | None, base_url: str) -> bytes:
    """A body with the resource too.

    Args:
        delivery: of a change.
        resource: as it is now; None when it is gone. A group comes without its members.
        base_url: of the SCIM service, without a slash at the end.
    """
    text = "null" if resource is None else serialize_resource(resource, base_url)
    return _body(delivery, orjson.Fragment(f'{delivery.data[:-1]},"resource":{text}}}'))


def _body(delivery: Delivery, data: orjson.Fragment) -> bytes:
    return orjson.dumps({"type": delivery.type, "timestamp": delivery.at, "data": data})
