"""A tenant's settings compiled into field tables, once for all requests of its tenants."""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

from scim_api.contract.admin import CustomField, Matching, TenantSettings
from scim_api.core.schema.attributes import (
    COMMON_FIELDS,
    CORE_GROUP,
    CORE_USER,
    CUSTOM_USER,
    ENTERPRISE,
    GROUP_FIELDS,
    USER_FIELDS,
    Field,
    extension,
    index,
)
from scim_api.core.types import AttributeType, ResourceKind

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

    kind: ResourceKind | None
    """None: the union of all kinds, for a search across them."""
    urn: str
    """The core schema; empty for the union."""
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
    """The served resource types; without Group when the tenant has groups switched off."""
    anything: Table
    """The attributes of all served types; a resource simply lacks those of the others."""

    @property
    def matching(self) -> Matching:
        """The attribute that identifies a user."""
        return self.settings.matching

    @property
    def user(self) -> Table:
        """The attributes of users."""
        return self.tables["User"]

    @property
    def group(self) -> Table:
        """The attributes of groups. Raises ``KeyError`` when the tenant has groups switched off."""
        return self.tables["Group"]


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


def _user_table(matching: Matching, groups: str, custom: tuple[CustomField, ...]) -> Table:
    required = {Matching.WORK_EMAIL: "emails", Matching.EXTERNAL_ID: "externalId"}.get(matching)
    fields = tuple(
        dataclasses.replace(field, required=True) if field.name == required else field
        for field in USER_FIELDS
        if field.name != "groups" or groups == "Enabled"
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


def _group_table() -> Table:
    names = index(GROUP_FIELDS) | index(COMMON_FIELDS)
    names |= {f"{CORE_GROUP}:{field.name}".lower(): field for field in GROUP_FIELDS}
    return Table("Group", CORE_GROUP, GROUP_FIELDS, (), MappingProxyType(names))


_GROUP_TABLE = _group_table()


@functools.lru_cache(maxsize=_CACHED)
def _tables(
    matching: Matching, groups: str, custom: frozenset[CustomField]
) -> tuple[Mapping[ResourceKind, Table], Table]:
    user = _user_table(matching, groups, tuple(sorted(custom, key=lambda field: field.name)))
    tables: dict[ResourceKind, Table] = {"User": user}
    if groups == "Enabled":
        tables["Group"] = _GROUP_TABLE
    names: dict[str, Field] = {}
    for table in reversed(tables.values()):
        names |= table.names
    anything = Table(None, "", (), (), MappingProxyType(names))
    return MappingProxyType(tables), anything


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
    tables, anything = _tables(settings.matching, settings.groups, frozenset(settings.custom_fields))
    made = _profiles[settings_hash] = Profile(settings, settings_hash, tables, anything)
    while len(_profiles) > _CACHED:
        _profiles.popitem(last=False)
    return made
