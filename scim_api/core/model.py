"""Resources and their changes, as core, store and HTTP hand them to each other: records without behaviour."""

import dataclasses
import enum
from typing import Literal, NamedTuple

from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind


@dataclasses.dataclass(frozen=True, slots=True)
class MemberChange:
    """One step of a change of a group's members; the store takes the steps in order."""

    op: Literal["add", "remove", "replace"]
    """``replace`` removes all that are not named and adds those that are."""
    ids: tuple[str, ...] = ()
    """Ids of users and groups in their canonical form (lower case), without repetition."""
    selected_by: Predicate | None = None
    """With ``remove``: instead of ids, those members that satisfy it; its normal form is
    ``{"value": id, "type": "user" or "group"}``."""
    required_path: str | None = None
    """With ``remove``: the path, as sent, that has to select a member; the store raises ``NoMembersSelected``
    when it selects none."""


class ResourceChange(NamedTuple):
    """What changed in the body of a resource."""

    what: Literal["updated", "activated", "deactivated"]
    paths: str
    """JSON array of attribute paths (RFC 7644 section 3.10), without values."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceWrite:
    """A resource to be written: the body to publish and the keys to find it by."""

    doc: str
    """JSON object text of the attributes as sent, without ``id`` and ``meta``; it starts with
    ``{"schemas":`` so that both can be spliced in."""
    normal_form: str
    """JSON object text of the normal form (see ``scim_api.core.values.normal_form``): what filters look at."""
    match_key: str | None
    """Normal form of the matching attribute; unique for the tenant and kind."""
    name_key: str
    """Normalized ``userName`` or ``displayName``; unique for the tenant and kind."""
    external_key: str | None = None
    """``externalId`` (case exact); unique only where it is the matching attribute."""
    email_keys: tuple[str, ...] = ()
    """Normalized values of all work e-mails, without repetition."""
    unique_email_keys: tuple[str, ...] = ()
    """Those of them that nobody else of the tenant may have: all where users match by work e-mail, else none."""
    members: tuple[MemberChange, ...] = ()
    """Of a group: what becomes of its members, which are rows of their own and not part of ``doc``."""
    changes: tuple["ResourceChange", ...] = ()
    """What the log says of a write of what exists already, unless only members change; empty: updated, and no more
    is known."""
    same_body: bool = False
    """``doc`` is what is stored already: nothing is written, unless the normal form is another one by now, as
    after a custom field was declared with another type."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A stored resource."""

    id: str
    """A UUID in its canonical form."""
    version: int
    created: str
    modified: str
    doc: str
    pk: int = 0
    """The database's own key: the order of lists, and what cursors and memberships hold on to; never shown."""
    kind: ResourceKind = "User"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A direct member of a group."""

    pk: int
    id: str
    kind: ResourceKind


@dataclasses.dataclass(frozen=True, slots=True)
class GroupReference:
    """A group that a user directly belongs to."""

    id: str
    display: str


class Lookup(enum.StrEnum):
    """The equality look-ups that Entra sends, each answered by an index."""

    ID = "id"
    NAME = "name"
    """``userName`` of users, ``displayName`` of groups."""
    EXTERNAL = "external"
    WORK_EMAIL = "workEmail"
