"""A tenant's settings compiled into field tables, once for all requests of its tenants."""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

from scim_api.admin_models import CustomField, Matching, TenantSettings
from scim_api.core.records import ResourceKind
from scim_api.core.schema import (
    COMMON_FIELDS,
    CORE_USER,
    CUSTOM_USER,
    ENTERPRISE,
    USER_FIELDS,
    AttributeType,
    Field,
    extension,
    index,
)

_CACHED = 256
_TYPES: Mapping[str, AttributeType] = MappingProxyType(
    {
        "Any": "any",
        "String": "string",
        "Boolean": "boolean",
        "Integer": "integer",
        "Decimal": "decimal",
        "DateTime": "dateTime",
    }
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The attributes of one resource type."""

    kind: ResourceKind
    urn: str
    """The core schema."""
    fields: tuple[Field, ...]
    """The core attributes, without the common ones."""
    extensions: tuple[Field, ...]
    names: Mapping[str, Field]
    """Every name by which a client may mean an attribute: ``userName``, ``urn:…:User:userName``,
    ``urn:…:User:department``, an extension's URN, and the bare names of EnterpriseUser (Entra sends
    ``manager`` so), each as spelt and in lower case."""

    def find(self, name: str) -> Field | None:
        """The attribute meant by a name, in any case."""
        return self.names.get(name) or self.names.get(name.lower())


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the core needs to know of a tenant."""

    settings: TenantSettings
    settings_hash: str
    tables: Mapping[ResourceKind, Table]
    """The served resource types; groups come with their own issue."""

    @property
    def matching(self) -> Matching:
        """The attribute that identifies a user."""
        return self.settings.matching

    @property
    def user(self) -> Table:
        """The attributes of users."""
        return self.tables["User"]


def custom_extension(fields: tuple[CustomField, ...]) -> Field:
    """The tenant's CustomExtensionName schema; without fields when none is declared."""
    return extension(
        CUSTOM_USER,
        "The custom fields that the ScimToken declares (spec.customFields).",
        (
            Field(
                field.name,
                _TYPES[field.type],
                f"Custom field of type {field.type}.",
                multi_valued=field.multi_valued,
                path=field.name,
            )
            for field in fields
        ),
    )


def _user_table(matching: Matching, custom: tuple[CustomField, ...]) -> Table:
    required = {Matching.WORK_EMAIL: "emails", Matching.EXTERNAL_ID: "externalId"}.get(matching)
    fields = tuple(
        dataclasses.replace(field, required=True) if field.name == required else field
        for field in USER_FIELDS
    )
    extensions = (ENTERPRISE, custom_extension(custom))
    names = index(ENTERPRISE.listed)
    names |= index(fields) | index(COMMON_FIELDS) | index(extensions)
    for field in fields:
        names[f"{CORE_USER}:{field.name}".lower()] = field
    for container in extensions:
        for field in container.listed:
            names[field.path] = field
            names[field.path.lower()] = field
    return Table("User", CORE_USER, fields, extensions, MappingProxyType(names))


@functools.lru_cache(maxsize=_CACHED)
def _tables(matching: Matching, groups: str, custom: frozenset[CustomField]) -> Mapping[ResourceKind, Table]:
    del groups  # Part of the key already; the table of groups comes with their issue.
    ordered = tuple(sorted(custom, key=lambda field: field.name))
    return MappingProxyType({"User": _user_table(matching, ordered)})


_profiles: collections.OrderedDict[str, Profile] = collections.OrderedDict()


def profile(settings: TenantSettings, settings_hash: str) -> Profile:
    """The compiled settings, from a bounded cache.

    Args:
        settings: the tenant's.
        settings_hash: stands for all of ``settings``, so that a hit costs one look-up.
    """
    found = _profiles.get(settings_hash)
    if found is not None:
        return found
    tables = _tables(settings.matching, settings.groups, frozenset(settings.custom_fields))
    made = _profiles[settings_hash] = Profile(settings, settings_hash, tables)
    while len(_profiles) > _CACHED:
        _profiles.popitem(last=False)
    return made
