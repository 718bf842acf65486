"""From stored text to what a client reads: splicing, lists and entity tags."""

import functools
import re
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import quote

import orjson

from scim_api.contract.urns import LIST_RESPONSE
from scim_api.core.model import GroupReference, Member, Resource
from scim_api.core.types import ResourceKind

_TAG = re.compile(r'((?:[Ww]/)?"[^"]*"|[^,"]*)(?:,|$)')
MANAGER: Final = '"manager":{"value":"'
"""How a manager begins in a stored body, and nothing else does: within a string the quotes would be escaped."""
_MANAGER: Final = re.compile(r'"manager":\{"value":"((?:[^"\\]|\\.)*)"\}')
_UNRESERVED: Final = re.compile(r"[0-9A-Za-z._~-]*", re.ASCII)
_OUR_TAG = re.compile(r'(?:[Ww]/)?"?([0-9]{1,18})"?', re.ASCII)


def serialize_resource(resource: Resource, base_url: str) -> str:
    """The JSON text of a resource: its stored body with ``id`` and ``meta`` spliced in.

    Args:
        resource: as the store returned it.
        base_url: of the SCIM service, without a slash at the end.
    """
    kind, doc = resource.kind, resource.doc
    if MANAGER in doc:
        doc = splice_manager(doc, base_url)
    return (
        f'{doc[:-1]},"id":"{resource.id}","meta":{{"resourceType":"{kind}",'
        f'"created":"{resource.created}","lastModified":"{resource.modified}",'
        f'"location":"{json_string_content(base_url)}/{kind}s/{resource.id}",'
        f'"version":"W/\\"{resource.version}\\""}}}}'
    )


def splice_manager(text: str, base_url: str) -> str:
    """JSON text of users with ``manager.$ref``, which follows from ``manager.value`` and is never stored.

    Args:
        text: stored bodies as they are, or what holds them; to be called for what contains ``MANAGER``.
        base_url: of the SCIM service, without a slash at the end.
    """
    users = f"{json_string_content(base_url)}/Users/"
    return _MANAGER.sub(
        lambda match: f'{MANAGER}{match[1]}","$ref":"{users}{_path_segment(match[1])}"}}', text
    )


def _path_segment(content: str) -> str:
    """An id as it stands between the quotes of JSON text, as part of an address: clients choose managers' ids."""
    return content if _UNRESERVED.fullmatch(content) else quote(orjson.loads(f'"{content}"'), safe="")


def serialize_member(member: Member, base_url: str) -> str:
    """The JSON text of one entry of a group's ``members``."""
    return (
        f'{{"value":"{member.id}","$ref":"{json_string_content(base_url)}/{member.kind}s/{member.id}",'
        f'"type":"{member.kind}"}}'
    )


def splice_groups(rendered: str, groups: Sequence[GroupReference], base_url: str) -> str:
    """A rendered user with its direct groups spliced in (RFC 7643 section 4.1.2)."""
    if not groups:
        return rendered
    base = json_string_content(base_url)
    entries = ",".join(
        f'{{"value":"{group.id}","$ref":"{base}/Groups/{group.id}",'
        f'"display":{orjson.dumps(group.display).decode()},"type":"direct"}}'
        for group in groups
    )
    return f'{rendered[:-1]},"groups":[{entries}]}}'


def location(kind: ResourceKind, resource_id: str, base_url: str) -> str:
    """The address of a resource."""
    return f"{base_url}/{kind}s/{resource_id}"


@functools.lru_cache(maxsize=64)
def json_string_content(text: str) -> str:
    """A string as it stands between the quotes of JSON text."""
    return orjson.dumps(text).decode()[1:-1]


def etag(version: int) -> str:
    """The weak entity tag of a version, as the ETag header and ``meta.version`` carry it."""
    return f'W/"{version}"'


def parse_etags(header: str) -> frozenset[int] | Literal["*"]:
    """The versions that an If-Match or If-None-Match header names (RFC 9110 section 13.1).

    Compared weakly, since all of ours are weak; quotes may be missing. Tags that are none of ours stand for
    no version.

    Returns:
        ``"*"`` for any version.
    """
    tags = [tag.strip() for tag in _TAG.findall(header)]
    if "*" in tags:
        return "*"
    return frozenset(int(match[1]) for tag in tags if (match := _OUR_TAG.fullmatch(tag)))


def list_response_head(
    total: int, items: int, *, start_index: int | None = None, next_cursor: str | None = None
) -> str:
    """The JSON text of a ListResponse (RFC 7644 section 3.4.2) up to its first resource; ``]}`` ends it.

    Args:
        total: how many resources there are on all pages.
        items: how many follow.
        start_index: of the first one; None on a page that was asked for by cursor (RFC 9865 section 2).
        next_cursor: of the next page, of characters that JSON need not escape.
    """
    start = "" if start_index is None else f'"startIndex":{start_index},'
    following = "" if next_cursor is None else f'"nextCursor":"{next_cursor}",'
    return (
        f'{{"schemas":["{LIST_RESPONSE}"],"totalResults":{total},{start}"itemsPerPage":{items},{following}'
        '"Resources":['
    )
