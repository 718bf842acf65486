"""Entra's attribute mapping: a person as SCIM attribute paths, and as the body of a create."""

import enum
import re
from collections.abc import Mapping
from typing import Any, Final

from entra_standin.dialects import ENTERPRISE_SCHEMA, USER_SCHEMA, Value
from entra_standin.directory import Person

WORK_EMAIL: Final = 'emails[type eq "work"].value'
WORK_COUNTRY: Final = 'addresses[type eq "work"].country'
DEPARTMENT: Final = f"{ENTERPRISE_SCHEMA}:department"
_FILTERED: Final = re.compile(r'(?P<list>\w+)\[type eq "(?P<type>\w+)"\]\.(?P<sub>\w+)')


class Matching(enum.StrEnum):
    """The attribute with matching precedence 1, named as a ScimToken names it."""

    WORK_EMAIL = "workEmail"
    USER_NAME = "userName"
    EXTERNAL_ID = "externalId"

    @property
    def path(self) -> str:
        """The attribute path in a filter."""
        return WORK_EMAIL if self is Matching.WORK_EMAIL else self.value

    def value_of(self, person: Person) -> str | None:
        """What ``person`` is looked for by; ``None`` when they have no such value."""
        value = attributes(person)[self.path]
        return value if isinstance(value, str) else None


def attributes(person: Person) -> dict[str, Value]:
    """All mapped attributes by path, without the manager, who comes after all users."""
    return {
        "externalId": person.key,
        "userName": person.user_principal_name,
        "active": person.active,
        "displayName": person.display_name,
        "name.givenName": person.given_name,
        "name.familyName": person.family_name,
        "title": person.job_title,
        WORK_EMAIL: person.mail,
        WORK_COUNTRY: person.country,
        DEPARTMENT: person.department,
    }


def create_body(person: Person) -> dict[str, Any]:
    """The body of a POST with Entra's noise: empty roles, a bare ``meta``, nulls for what is absent."""
    has_mail, has_country = person.mail is not None, person.country is not None
    emails = [{"type": "work", "value": person.mail, "primary": True}] if has_mail else None
    addresses = [{"type": "work", "country": person.country}] if has_country else None
    return {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "externalId": person.key,
        "userName": person.user_principal_name,
        "active": person.active,
        "displayName": person.display_name,
        "name": {"givenName": person.given_name, "familyName": person.family_name, "formatted": None},
        "title": person.job_title,
        "emails": emails,
        "addresses": addresses,
        "phoneNumbers": None,
        "roles": [],
        "meta": {"resourceType": "User"},
        ENTERPRISE_SCHEMA: {"department": person.department},
    }


def changes_between(before: Mapping[str, Value], after: Mapping[str, Value]) -> dict[str, Value]:
    """What an incremental cycle sends: the paths whose value is another one now."""
    return {path: value for path, value in after.items() if before.get(path) != value}


def value_at(resource: Mapping[str, Any], path: str) -> Any:
    """The value of an attribute path in a SCIM resource; ``None`` when it is absent.

    A complex attribute, such as the manager, answers its ``value``.
    """
    if filtered := _FILTERED.fullmatch(path):
        entries = resource.get(filtered["list"])
        chosen = [
            entry
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and entry.get("type") == filtered["type"]
        ]
        return chosen[0].get(filtered["sub"]) if chosen else None
    extension, _, name = path.rpartition(":")
    found: Any = resource.get(extension) or {} if extension else resource
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found.get("value") if isinstance(found, dict) else found


def differences(resource: Mapping[str, Any], wanted: Mapping[str, Value]) -> dict[str, Value]:
    """The part of ``wanted`` that ``resource`` does not hold exactly as it was sent.

    An empty string clears, so that it must be absent afterwards: one that is left behind is a difference.
    """
    return {path: value for path, value in wanted.items() if not _same(value_at(resource, path), value)}


def _same(found: Any, wanted: Value) -> bool:
    """Equal in type as well: 1 is not true."""
    kept = None if wanted == "" else wanted
    return type(found) is type(kept) and bool(found == kept)
