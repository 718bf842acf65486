"""Users: what a body must have, and what becomes of it.

A user needs a userName (400 without) and, since Entra finds people by it again, the attribute that the
tenant matches on: without it POST and PUT answer 422, which Entra logs as UnprocessableEntry. A PATCH
that would clear either is refused with 400 mutability (RFC 7644 section 3.5.2.2).

``active`` is true when a new user does not say; a PUT that does not mention it leaves it as it was, so
that nobody is enabled by omission. User has no immutable attributes.
"""

from typing import Any

import orjson

from scim_api.admin_models import Matching
from scim_api.core.errors import ScimError, invalid_syntax, invalid_value, shown, too_large, unprocessable
from scim_api.core.keys import keys
from scim_api.core.limits import MAX_BODY, MAX_HOT_KEY
from scim_api.core.profile import Profile
from scim_api.core.records import Prepared, Resource
from scim_api.core.schema import CORE_USER, CUSTOM_USER, Field
from scim_api.core.text import comparable
from scim_api.core.values import Json, read_value, twice

_CUSTOM = CUSTOM_USER.lower()
WORK_EMAIL = 'emails[type eq "work"].value'


def create_user(profile: Profile, body: dict[str, Json]) -> Prepared:
    """Check and normalise the body of a POST.

    Raises:
        ScimError: 400 for a value that does not fit, 422 when the matching attribute is missing.
    """
    doc = _read_body(profile, body)
    doc.setdefault("active", True)
    return _prepare_whole(profile, doc)


def replace_user(profile: Profile, current: Resource, body: dict[str, Json]) -> Prepared:
    """Check and normalise the body of a PUT; read-only attributes in it are ignored.

    Raises:
        ScimError: as for ``create_user``.
    """
    doc = _read_body(profile, body)
    if "active" not in doc:
        doc["active"] = orjson.loads(current.doc).get("active", True)
    return _prepare_whole(profile, doc)


def prepare(profile: Profile, doc: dict[str, Json]) -> Prepared:
    """What to store of a user that is complete: body, comparable form and index keys.

    Args:
        profile: the tenant's.
        doc: attributes under their names, without ``schemas``, ``id`` and ``meta``.

    Raises:
        ScimError: 400 for an indexed value that is too long, 413 for a resource that is too large.
    """
    doc = {"schemas": _schemas(profile, doc), **doc}
    text = orjson.dumps(doc)
    if len(text) > MAX_BODY:
        raise too_large(f"The user would have {len(text)} bytes; at most {MAX_BODY} are kept. Send less.")
    name = _hot_key("userName", doc["userName"], case_exact=False)
    external = doc.get("externalId")
    if external is not None:
        external = _hot_key("externalId", external, case_exact=True)
    emails = work_emails(doc)
    match profile.matching:
        case Matching.WORK_EMAIL:
            match_key = emails[0] if emails else None
        case Matching.USER_NAME:
            match_key = name
        case Matching.EXTERNAL_ID:
            match_key = external
    return Prepared(
        doc=text.decode(),
        keys=keys(profile, doc),
        match_key=match_key,
        name_key=name,
        external_key=external,
        email_keys=tuple(dict.fromkeys(emails)),
    )


def work_emails(doc: dict[str, Json]) -> list[str]:
    """The comparable values of all work e-mails, the primary one first."""
    found: list[str] = []
    for entry in doc.get("emails", ()):
        value = entry.get("value")
        if value is not None and comparable(entry.get("type", ""), case_exact=False) == "work":
            key = _hot_key(WORK_EMAIL, value, case_exact=False)
            found.insert(0 if entry.get("primary") else len(found), key)
    return found


def missing(profile: Profile, doc: dict[str, Json]) -> tuple[str, str] | None:
    """The required attribute that a user lacks, and why it is required; None when all are there."""
    if "userName" not in doc:
        return "userName", "every user needs one"
    if profile.matching is Matching.WORK_EMAIL and not work_emails(doc):
        return WORK_EMAIL, "this tenant matches users by their work e-mail"
    if profile.matching is Matching.EXTERNAL_ID and "externalId" not in doc:
        return "externalId", "this tenant matches users by it"
    return None


def undeclared(name: str) -> str:
    """The sentence about a custom field that the tenant does not have."""
    return (
        f"The custom field {shown(name)} is not declared for this tenant. Add {{name: {name[:64]}, type: Any}}"
        " to spec.customFields of the ScimToken, or remove its attribute mapping."
    )


def _prepare_whole(profile: Profile, doc: dict[str, Json]) -> Prepared:
    _check_primaries(profile, doc)
    lacks = missing(profile, doc)
    if lacks is not None:
        name, reason = lacks
        raise (invalid_value if name == "userName" else unprocessable)(
            f"{name} is missing or empty, and {reason}. Fill the source attribute in Entra ID, or map"
            f" another one to {name}."
        )
    return prepare(profile, doc)


def _read_body(profile: Profile, body: dict[str, Json]) -> dict[str, Json]:
    _check_schemas(body)
    doc: dict[str, Json] = {}
    names = profile.user.names
    for name, value in body.items():
        field = names.get(name) or names.get(name.lower())
        if field is None:
            _refuse_undeclared(name)
        elif field.mutability != "readWrite":
            continue
        elif field.extension:
            _read_extension(doc, field, value)
        else:
            _put(doc, field, read_value(field, value))
    return doc


def _check_schemas(body: dict[str, Json]) -> None:
    """Only the shape: undeclared URNs are tolerated, and what is stored is computed."""
    schemas = body.get("schemas")
    if schemas is not None and not isinstance(schemas, list):
        raise invalid_syntax(f'schemas must be an array of URNs, such as ["{CORE_USER}"].')


def _refuse_undeclared(name: str) -> None:
    """Unknown attributes are noise, except custom fields: the admin should see that one is missing."""
    if name.lower().startswith(f"{_CUSTOM}:"):
        raise invalid_value(undeclared(name[len(_CUSTOM) + 1 :]))


def _read_extension(doc: dict[str, Json], container: Field, value: Json) -> None:
    if value is None or value == "":
        return
    if not isinstance(value, dict):
        raise invalid_value(f"{container.name} takes a JSON object with the attributes of that schema.")
    for name, item in value.items():
        field = container.fields.get(name) or container.fields.get(name.lower())
        if field is not None:
            _put(doc, field, read_value(field, item))
        elif container.name == CUSTOM_USER:
            raise invalid_value(undeclared(name))


def _put(doc: dict[str, Json], field: Field, value: Json) -> None:
    if value is None:
        return
    holder = doc if field.urn is None else doc.setdefault(field.urn, {})
    if field.name in holder:
        raise twice(field)
    holder[field.name] = value


def _check_primaries(profile: Profile, doc: dict[str, Json]) -> None:
    for name, value in doc.items():
        if isinstance(value, list) and count_primaries(value) > 1:
            raise two_primaries(profile.user.names[name])


def count_primaries(entries: list[Any]) -> int:
    """How many entries of a multi-valued attribute say that they are the preferred one."""
    return sum(1 for entry in entries if isinstance(entry, dict) and entry.get("primary") is True)


def two_primaries(field: Field) -> ScimError:
    """RFC 7643 section 2.4: the primary value is true at most once."""
    return invalid_value(f"{field.path} has more than one entry with primary true; mark at most one.")


def _schemas(profile: Profile, doc: dict[str, Json]) -> list[str]:
    return [CORE_USER, *(e.name for e in profile.user.extensions if e.name in doc)]


def _hot_key(name: str, value: str, *, case_exact: bool) -> str:
    key = comparable(value, case_exact=case_exact)
    if len(key) * 4 > MAX_HOT_KEY and len(key.encode()) > MAX_HOT_KEY:
        raise invalid_value(
            f"{name} is {len(key.encode())} bytes long; it is indexed, so at most {MAX_HOT_KEY} bytes are"
            " possible. Shorten it."
        )
    return key
