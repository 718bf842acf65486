"""Groups: what a body must have, and what becomes of it and of the members it names.

Members are rows of their own, so a stored group holds everything but them; what a request wants of the
members leaves here as steps (``MemberChange``) that the store takes in the group's own transaction. A
member is named by the id of a user or group of the same tenant, and nothing else of it is kept: its type
is known, and ``$ref`` follows from the id. A group cannot contain itself; larger circles are not looked
for, since nothing here ever walks them (only direct members are published).
"""

import orjson

from scim_api.core.bodies import body_text, hot_key, read_body, with_schemas
from scim_api.core.errors import invalid_value, mutability, shown
from scim_api.core.keys import keys
from scim_api.core.members import read_members
from scim_api.core.normalise import Operation
from scim_api.core.patch import apply
from scim_api.core.profile import Profile
from scim_api.core.records import MemberChange, Prepared, Resource
from scim_api.core.values import Json

_NAMELESS = "displayName is missing or empty, and every group needs one"


def create_group(profile: Profile, body: dict[str, Json]) -> Prepared:
    """Check and normalise the body of a POST.

    Raises:
        ScimError: 400 for a value that does not fit, or a missing displayName.
    """
    ids = _members(profile, body)
    return _prepare_whole(profile, body, (MemberChange("add", ids),) if ids else ())


def replace_group(profile: Profile, current: Resource, body: dict[str, Json]) -> Prepared:
    """Check and normalise the body of a PUT: members that it does not name leave the group.

    Raises:
        ScimError: as for ``create_group``.
    """
    ids = _members(profile, body)
    _refuse_itself(current, ids)
    return _prepare_whole(profile, body, (MemberChange("replace", ids),))


def patch_group(profile: Profile, current: Resource, operations: tuple[Operation, ...]) -> Prepared | None:
    """The group after all operations, with the steps to take on its members; None when there is nothing
    to do.

    Args:
        profile: the tenant's.
        current: the group as stored; not modified.
        operations: from ``read_patch``.

    Raises:
        ScimError: 400 mutability when displayName would be missing; invalidValue for a group in itself.
    """
    doc: dict[str, Json] = orjson.loads(current.doc)
    del doc["schemas"]
    before = dict(doc)
    changes: list[MemberChange] = []
    for operation in operations:
        if operation.target.field.linked:
            change: MemberChange = operation.value
            _refuse_itself(current, change.ids if change.op != "remove" else ())
            changes.append(change)
        else:
            apply(doc, operation)
    if doc == before and not changes:
        return None
    if "displayName" not in doc:
        raise mutability("displayName cannot be cleared: every group needs one. Send a new value.")
    return _prepare(profile, doc, tuple(changes))


def _members(profile: Profile, body: dict[str, Json]) -> tuple[str, ...]:
    """The ids under the name ``members``, in whatever spelling it came."""
    wanted = profile.group.names["members"]
    found = [item for name, item in body.items() if profile.group.find(name) is wanted]
    if len(found) > 1:
        raise invalid_value("members is sent twice, under two spellings of its name; send it once.")
    return read_members(found[0]) if found else ()


def _refuse_itself(current: Resource, ids: tuple[str, ...]) -> None:
    if current.id in ids:
        raise invalid_value(f"members names the group itself ({shown(current.id)}); leave it out.")


def _prepare_whole(profile: Profile, body: dict[str, Json], changes: tuple[MemberChange, ...]) -> Prepared:
    doc = read_body(profile.group, body)
    if "displayName" not in doc:
        raise invalid_value(f"{_NAMELESS}. Fill the source attribute in Entra ID, or map another one to it.")
    return _prepare(profile, doc, changes)


def _prepare(profile: Profile, doc: dict[str, Json], changes: tuple[MemberChange, ...]) -> Prepared:
    doc = with_schemas(profile.group, doc)
    external = doc.get("externalId")
    if external is not None:
        external = hot_key("externalId", external, case_exact=True)
    return Prepared(
        doc=body_text(doc),
        keys=keys(profile.group, doc),
        match_key=None,
        name_key=hot_key("displayName", doc["displayName"], case_exact=False),
        external_key=external,
        members=changes,
    )
