"""A tenant's settings compiled into attribute tables, once for all requests of its tenants."""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

from scim_api.contract.admin import CustomField, Matching, TenantSettings
from scim_api.contract.urns import CORE_GROUP, CORE_USER, CUSTOM_USER
from scim_api.core.schema.attributes import (
    COMMON_ATTRIBUTES,
    ENTERPRISE_EXTENSION,
    GROUP_ATTRIBUTES,
    USER_ATTRIBUTES,
    Attribute,
    by_name,
    extension_attribute,
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
class AttributeTable:
    """The attributes of one resource type."""

    kind: ResourceKind | None
    """None: the union of all kinds, for a search across them."""
    urn: str
    """The core schema; empty for the union."""
    attributes: tuple[Attribute, ...]
    """The core attributes, without the common ones."""
    extensions: tuple[Attribute, ...]
    names: Mapping[str, Attribute]
    """Every name by which a client may mean an attribute: ``userName``, ``urn:…:User:userName``,
    ``urn:…:User:department``, an extension's URN, and the bare names of EnterpriseUser (Entra sends
    ``manager`` so), each as spelt and in lower case."""

    def find(self, name: str) -> Attribute | None:
        """The attribute meant by a name, in any case."""
        return self.names.get(name) or self.names.get(name.lower())


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TenantSchema:
    """What the core needs to know of a tenant."""

    settings: TenantSettings
    settings_hash: str
    tables: Mapping[ResourceKind, AttributeTable]
    """The served resource types; without Group when the tenant has groups switched off."""
    all_types: AttributeTable
    """The attributes of all served types; a resource simply lacks those of the others."""

    @property
    def matching(self) -> Matching:
        """The attribute that identifies a user."""
        return self.settings.matching

    @property
    def user(self) -> AttributeTable:
        """The attributes of users."""
        return self.tables["User"]

    @property
    def group(self) -> AttributeTable:
        """The attributes of groups. Raises ``KeyError`` when the tenant has groups switched off."""
        return self.tables["Group"]


def custom_extension(fields: tuple[CustomField, ...]) -> Attribute:
    """The tenant's CustomExtensionName schema; without fields when none is declared."""
    return extension_attribute(
        CUSTOM_USER,
        "The custom fields that the ScimToken declares (spec.customFields).",
        (
            Attribute(
                field.name,
                _TYPES[field.type],
                f"Custom field of type {field.type}.",
                multi_valued=field.multi_valued,
                path=field.name,
            )
            for field in fields
        ),
    )


def _as_matching(attribute: Attribute) -> Attribute:
    """The attribute that users are matched by: required and unique, as its value is where it has entries."""
    if attribute.type != "complex":
        return dataclasses.replace(attribute, required=True, uniqueness="server")
    subs = (
        dataclasses.replace(sub, uniqueness="server") if sub.name == "value" else sub
        for sub in attribute.sub_attributes
    )
    return dataclasses.replace(attribute, required=True, sub_attributes_by_name=by_name(subs))


def _user_table(matching: Matching, groups: str, custom: tuple[CustomField, ...]) -> AttributeTable:
    matched = {Matching.WORK_EMAIL: "emails", Matching.EXTERNAL_ID: "externalId"}.get(matching)
    attributes = tuple(
        _as_matching(attribute) if attribute.name == matched else attribute
        for attribute in USER_ATTRIBUTES
        if attribute.name != "groups" or groups == "Enabled"
    )
    extensions = (ENTERPRISE_EXTENSION, custom_extension(custom))
    names = by_name(ENTERPRISE_EXTENSION.sub_attributes)
    names |= by_name(attributes) | by_name(COMMON_ATTRIBUTES) | by_name(extensions)
    for attribute in attributes:
        names[f"{CORE_USER}:{attribute.name}".lower()] = attribute
    for container in extensions:
        for attribute in container.sub_attributes:
            names[attribute.path] = attribute
            names[attribute.path.lower()] = attribute
    return AttributeTable("User", CORE_USER, attributes, extensions, MappingProxyType(names))


def _group_table() -> AttributeTable:
    names = by_name(GROUP_ATTRIBUTES) | by_name(COMMON_ATTRIBUTES)
    names |= {f"{CORE_GROUP}:{attribute.name}".lower(): attribute for attribute in GROUP_ATTRIBUTES}
    return AttributeTable("Group", CORE_GROUP, GROUP_ATTRIBUTES, (), MappingProxyType(names))


_GROUP_TABLE = _group_table()


@functools.lru_cache(maxsize=_CACHED)
def _tables(
    matching: Matching, groups: str, custom: frozenset[CustomField]
) -> tuple[Mapping[ResourceKind, AttributeTable], AttributeTable]:
    user = _user_table(matching, groups, tuple(sorted(custom, key=lambda field: field.name)))
    tables: dict[ResourceKind, AttributeTable] = {"User": user}
    if groups == "Enabled":
        tables["Group"] = _GROUP_TABLE
    names: dict[str, Attribute] = {}
    for table in reversed(tables.values()):
        names |= table.names
    anything = AttributeTable(None, "", (), (), MappingProxyType(names))
    return MappingProxyType(tables), anything


_compiled: collections.OrderedDict[str, TenantSchema] = collections.OrderedDict()


def compile_tenant_schema(settings: TenantSettings, settings_hash: str) -> TenantSchema:
    """The compiled settings, from a bounded cache.

    Args:
        settings: the tenant's.
        settings_hash: stands for all of ``settings``, so that a hit costs one look-up.
    """
    cached = _compiled.get(settings_hash)
    if cached is not None:
        return cached
    tables, anything = _tables(settings.matching, settings.groups, frozenset(settings.custom_fields))
    compiled = _compiled[settings_hash] = TenantSchema(settings, settings_hash, tables, anything)
    while len(_compiled) > _CACHED:
        _compiled.popitem(last=False)
    return compiled
