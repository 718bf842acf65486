"""The attributes of User, Group and EnterpriseUser (RFC 7643 sections 3.1 and 4.1 to 4.3) as a table.

It is written out here, and not read from scim2-models, because importing the models takes a second; a
test holds the two together. What differs is what Entra asks for: ``externalId`` is listed on User and
Group, addresses have canonical types, no value's format is checked. And ``User.groups`` is returned on
request alone: it changes without the user, so that no stored body could hold it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

from scim_api.core.types import AttributeType, Mutability

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM_USER = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One attribute, with what is needed to read, compare and publish it."""

    name: str
    type: AttributeType = "string"
    description: str = ""
    multi_valued: bool = False
    case_exact: bool = False
    mutability: Mutability = "readWrite"
    returned: Literal["default", "always", "never", "request"] = "default"
    uniqueness: Literal["none", "server"] = "none"
    required: bool = False
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    fields: Mapping[str, "Field"] = dataclasses.field(default_factory=dict)
    """Sub-attributes by name in lower case and as spelt."""
    path: str = ""
    """The full name for messages and schemas, such as ``name.givenName``."""
    urn: str | None = None
    """The extension that holds the attribute; None for core attributes and for extensions themselves."""
    pointer: bool = False
    """Holds nothing but the id of another resource: stored and returned as ``{"value": id}``."""
    extension: bool = False
    """The attribute is an extension's container, named by its URN."""
    linked: bool = False
    """The entries are memberships: rows of their own, and no part of a stored body."""

    @property
    def listed(self) -> tuple["Field", ...]:
        """The sub-attributes once each, in the order of the table."""
        return tuple(dict.fromkeys(self.fields.values()))


def index(fields: Iterable[Field]) -> dict[str, Field]:
    """Fields by name, as spelt and in lower case: attribute names are case-insensitive."""
    table: dict[str, Field] = {}
    for field in fields:
        table[field.name] = field
        table[field.name.lower()] = field
    return table


def holding(field: Field, *fields: Field) -> Field:
    """A complex attribute with its sub-attributes, whose paths are completed."""
    subs = (dataclasses.replace(sub, path=f"{field.name}.{sub.name}") for sub in fields)
    return dataclasses.replace(field, type="complex", path=field.name, fields=index(subs))


def extension(urn: str, description: str, fields: Iterable[Field]) -> Field:
    """An extension as an attribute named by its URN."""
    inner = [
        dataclasses.replace(
            field,
            urn=urn,
            path=f"{urn}:{field.name}",
            fields=index(dataclasses.replace(s, path=f"{urn}:{s.path}") for s in field.listed),
        )
        for field in fields
    ]
    return Field(urn, "complex", description, path=urn, fields=index(inner), extension=True)


def _text(name: str, description: str) -> Field:
    return Field(name, description=description, path=name)


def _plural(name: str, what: str, types: tuple[str, ...] = (), value: Field | None = None) -> Field:
    """A multi-valued attribute with the default sub-attributes of RFC 7643 section 2.4."""
    return holding(
        Field(name, description=f"{what} of the user.", multi_valued=True),
        value or _text("value", "The value itself; its format is not checked."),
        _text("display", "A name of the value for people."),
        Field("type", description="What the value is for.", canonical_values=types),
        _PRIMARY,
    )


_PRIMARY = Field("primary", "boolean", "Whether this is the preferred value; true at most once.")

_NAME = holding(
    Field("name", description="The components of the user's name."),
    _text("formatted", "The full name, formatted for display."),
    _text("familyName", "The family name."),
    _text("givenName", "The given name."),
    _text("middleName", "The middle name or names."),
    _text("honorificPrefix", "What stands before the name, such as Dr."),
    _text("honorificSuffix", "What stands after the name, such as III."),
)

_ADDRESSES = holding(
    Field("addresses", description="Physical addresses of the user.", multi_valued=True),
    _text("formatted", "The full address, formatted for display."),
    _text("streetAddress", "Street, house number, and what belongs to them."),
    _text("locality", "The city or locality."),
    _text("region", "The state or region."),
    _text("postalCode", "The postal code."),
    _text("country", "The country."),
    Field("type", description="What the address is for.", canonical_values=("work", "home", "other")),
    _PRIMARY,
)

_GROUPS = holding(
    Field(
        "groups", description="The groups that the user directly belongs to.", multi_valued=True,
        mutability="readOnly", returned="request", linked=True,
    ),
    Field("value", description="The group's id.", case_exact=True, mutability="readOnly"),
    Field(
        "$ref", "reference", "The group's address.", case_exact=True, mutability="readOnly",
        reference_types=("Group",),
    ),
    Field("display", description="The group's name.", mutability="readOnly"),
    Field(
        "type", description="How the user belongs to it.", mutability="readOnly",
        canonical_values=("direct", "indirect"),
    ),
)  # fmt: skip

USER_FIELDS: tuple[Field, ...] = (
    Field(
        "userName", description="The name the user signs in with; unique within the tenant.",
        uniqueness="server", required=True, path="userName",
    ),
    Field(
        "externalId", description="The client's identifier of the user.", case_exact=True, path="externalId"
    ),
    _NAME,
    _text("displayName", "The name for display."),
    _text("nickName", "The casual name."),
    Field(
        "profileUrl", "reference", "The address of a page about the user.", case_exact=True,
        reference_types=("external",), path="profileUrl",
    ),
    _text("title", "The job title."),
    _text("userType", "The relation between organisation and user, such as Employee."),
    _text("preferredLanguage", "The preferred language, such as en-GB."),
    _text("locale", "The locale for dates and numbers, such as en-GB."),
    _text("timezone", "The time zone, such as Europe/Berlin."),
    Field("active", "boolean", "Whether the user may sign in.", path="active"),
    Field(
        "password", description="Accepted and never kept: people sign in elsewhere.", case_exact=True,
        mutability="writeOnly", returned="never", path="password",
    ),
    _plural("emails", "E-mail addresses", ("work", "home", "other")),
    _plural("phoneNumbers", "Telephone numbers", ("work", "home", "mobile", "fax", "pager", "other")),
    _plural(
        "ims", "Instant messaging addresses",
        ("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
    ),
    _plural(
        "photos", "Photos", ("photo", "thumbnail"),
        Field(
            "value", "reference", "The address of the image.", case_exact=True,
            reference_types=("external",),
        ),
    ),
    _ADDRESSES,
    _GROUPS,
    _plural("entitlements", "Entitlements"),
    _plural("roles", "Roles"),
    _plural(
        "x509Certificates", "Certificates", (),
        Field("value", "binary", "The certificate, DER in base64.", case_exact=True),
    ),
)  # fmt: skip

ENTERPRISE = extension(
    ENTERPRISE_USER,
    "What an organisation adds to a user.",
    (
        _text("employeeNumber", "The number or code of the employee."),
        _text("costCenter", "The cost centre."),
        _text("organization", "The organisation."),
        _text("division", "The division."),
        _text("department", "The department."),
        dataclasses.replace(
            holding(
                Field("manager", description="The user's manager, named by id."),
                Field("value", description="The id of the manager's User resource.", case_exact=True),
                Field(
                    "$ref", "reference", "The address of the manager's User resource.", case_exact=True,
                    reference_types=("User",),
                ),
                Field("displayName", description="The manager's name.", mutability="readOnly"),
            ),
            pointer=True,
        ),
    ),
)  # fmt: skip

GROUP_FIELDS: tuple[Field, ...] = (
    Field(
        "displayName", description="The group's name; unique within the tenant.", uniqueness="server",
        required=True, path="displayName",
    ),
    Field(
        "externalId", description="The client's identifier of the group.", case_exact=True,
        path="externalId",
    ),
    holding(
        Field("members", description="The direct members of the group.", multi_valued=True, linked=True),
        Field(
            "value", description="The id of the member's User or Group resource.", mutability="immutable"
        ),
        Field(
            "$ref", "reference", "The address of the member's resource.", case_exact=True,
            mutability="immutable", reference_types=("User", "Group"),
        ),
        Field(
            "type", description="The member's resource type.", mutability="immutable",
            canonical_values=("User", "Group"),
        ),
    ),
)  # fmt: skip

COMMON_FIELDS: tuple[Field, ...] = (
    Field("schemas", "reference", multi_valued=True, case_exact=True, mutability="readOnly", path="schemas"),
    Field("id", case_exact=True, mutability="readOnly", returned="always", path="id"),
    holding(
        Field("meta", mutability="readOnly"),
        Field("resourceType", case_exact=True, mutability="readOnly"),
        Field("created", "dateTime", mutability="readOnly"),
        Field("lastModified", "dateTime", mutability="readOnly"),
        Field("location", "reference", case_exact=True, mutability="readOnly"),
        Field("version", case_exact=True, mutability="readOnly"),
    ),
)
"""RFC 7643 section 3.1: the server's, so that what a client sends for them is noise."""
