"""The attributes of User, Group and EnterpriseUser (RFC 7643 sections 3.1 and 4.1 to 4.3) as a table.

It is written out here, and not read from scim2-models, because importing the models takes a second; a
test holds the two together. What differs is what Entra asks for: ``externalId`` is listed on User and
Group, addresses have canonical types, no value's format is checked. And ``User.groups`` is returned on
request alone: it changes without the user, so that no stored body could hold it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

from scim_api.contract.urns import ENTERPRISE_USER
from scim_api.core.types import AttributeType, Mutability


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Attribute:
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
    sub_attributes_by_name: Mapping[str, "Attribute"] = dataclasses.field(default_factory=dict)
    """Sub-attributes by name in lower case and as spelt."""
    path: str = ""
    """The full name for messages and schemas, such as ``name.givenName``."""
    urn: str | None = None
    """The extension that holds the attribute; None for core attributes and for extensions themselves."""
    is_reference: bool = False
    """Holds nothing but the id of another resource: stored and returned as ``{"value": id}``."""
    is_extension: bool = False
    """The attribute is an extension's container, named by its URN."""
    is_membership: bool = False
    """The entries are memberships: rows of their own, and no part of a stored body."""

    @property
    def sub_attributes(self) -> tuple["Attribute", ...]:
        """The sub-attributes once each, in the order of the table."""
        return tuple(dict.fromkeys(self.sub_attributes_by_name.values()))


def by_name(attributes: Iterable[Attribute]) -> dict[str, Attribute]:
    """Fields by name, as spelt and in lower case: attribute names are case-insensitive."""
    table: dict[str, Attribute] = {}
    for attribute in attributes:
        table[attribute.name] = attribute
        table[attribute.name.lower()] = attribute
    return table


def complex_attribute(attribute: Attribute, *attributes: Attribute) -> Attribute:
    """A complex attribute with its sub-attributes, whose paths are completed."""
    subs = (dataclasses.replace(sub, path=f"{attribute.name}.{sub.name}") for sub in attributes)
    return dataclasses.replace(
        attribute, type="complex", path=attribute.name, sub_attributes_by_name=by_name(subs)
    )


def extension_attribute(urn: str, description: str, attributes: Iterable[Attribute]) -> Attribute:
    """An extension as an attribute named by its URN."""
    inner = [
        dataclasses.replace(
            attribute,
            urn=urn,
            path=f"{urn}:{attribute.name}",
            sub_attributes_by_name=by_name(
                dataclasses.replace(s, path=f"{urn}:{s.path}") for s in attribute.sub_attributes
            ),
        )
        for attribute in attributes
    ]
    return Attribute(
        urn, "complex", description, path=urn, sub_attributes_by_name=by_name(inner), is_extension=True
    )


def _string(name: str, description: str) -> Attribute:
    return Attribute(name, description=description, path=name)


def _multi_valued(
    name: str, what: str, types: tuple[str, ...] = (), value: Attribute | None = None
) -> Attribute:
    """A multi-valued attribute with the default sub-attributes of RFC 7643 section 2.4."""
    return complex_attribute(
        Attribute(name, description=f"{what} of the user.", multi_valued=True),
        value or _string("value", "The value itself; its format is not checked."),
        _string("display", "A name of the value for people."),
        Attribute("type", description="What the value is for.", canonical_values=types),
        _PRIMARY,
    )


_PRIMARY = Attribute("primary", "boolean", "Whether this is the preferred value; true at most once.")

_NAME = complex_attribute(
    Attribute("name", description="The components of the user's name."),
    _string("formatted", "The full name, formatted for display."),
    _string("familyName", "The family name."),
    _string("givenName", "The given name."),
    _string("middleName", "The middle name or names."),
    _string("honorificPrefix", "What stands before the name, such as Dr."),
    _string("honorificSuffix", "What stands after the name, such as III."),
)

_ADDRESSES = complex_attribute(
    Attribute("addresses", description="Physical addresses of the user.", multi_valued=True),
    _string("formatted", "The full address, formatted for display."),
    _string("streetAddress", "Street, house number, and what belongs to them."),
    _string("locality", "The city or locality."),
    _string("region", "The state or region."),
    _string("postalCode", "The postal code."),
    _string("country", "The country."),
    Attribute("type", description="What the address is for.", canonical_values=("work", "home", "other")),
    _PRIMARY,
)

_GROUPS = complex_attribute(
    Attribute(
        "groups", description="The groups that the user directly belongs to.", multi_valued=True,
        mutability="readOnly", returned="request", is_membership=True,
    ),
    Attribute("value", description="The group's id.", case_exact=True, mutability="readOnly"),
    Attribute(
        "$ref", "reference", "The group's address.", case_exact=True, mutability="readOnly",
        reference_types=("Group",),
    ),
    Attribute("display", description="The group's name.", mutability="readOnly"),
    Attribute(
        "type", description="How the user belongs to it.", mutability="readOnly",
        canonical_values=("direct", "indirect"),
    ),
)  # fmt: skip

USER_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "userName", description="The name the user signs in with; unique within the tenant.",
        uniqueness="server", required=True, path="userName",
    ),
    Attribute(
        "externalId", description="The client's identifier of the user.", case_exact=True, path="externalId"
    ),
    _NAME,
    _string("displayName", "The name for display."),
    _string("nickName", "The casual name."),
    Attribute(
        "profileUrl", "reference", "The address of a page about the user.", case_exact=True,
        reference_types=("external",), path="profileUrl",
    ),
    _string("title", "The job title."),
    _string("userType", "The relation between organisation and user, such as Employee."),
    _string("preferredLanguage", "The preferred language, such as en-GB."),
    _string("locale", "The locale for dates and numbers, such as en-GB."),
    _string("timezone", "The time zone, such as Europe/Berlin."),
    Attribute("active", "boolean", "Whether the user may sign in.", path="active"),
    Attribute(
        "password", description="Accepted and never kept: people sign in elsewhere.", case_exact=True,
        mutability="writeOnly", returned="never", path="password",
    ),
    _multi_valued("emails", "E-mail addresses", ("work", "home", "other")),
    _multi_valued("phoneNumbers", "Telephone numbers", ("work", "home", "mobile", "fax", "pager", "other")),
    _multi_valued(
        "ims", "Instant messaging addresses",
        ("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
    ),
    _multi_valued(
        "photos", "Photos", ("photo", "thumbnail"),
        Attribute(
            "value", "reference", "The address of the image.", case_exact=True,
            reference_types=("external",),
        ),
    ),
    _ADDRESSES,
    _GROUPS,
    _multi_valued("entitlements", "Entitlements"),
    _multi_valued("roles", "Roles"),
    _multi_valued(
        "x509Certificates", "Certificates", (),
        Attribute("value", "binary", "The certificate, DER in base64.", case_exact=True),
    ),
)  # fmt: skip

ENTERPRISE_EXTENSION = extension_attribute(
    ENTERPRISE_USER,
    "What an organisation adds to a user.",
    (
        _string("employeeNumber", "The number or code of the employee."),
        _string("costCenter", "The cost centre."),
        _string("organization", "The organisation."),
        _string("division", "The division."),
        _string("department", "The department."),
        dataclasses.replace(
            complex_attribute(
                Attribute("manager", description="The user's manager, named by id."),
                Attribute("value", description="The id of the manager's User resource.", case_exact=True),
                Attribute(
                    "$ref", "reference", "The address of the manager's User resource.", case_exact=True,
                    reference_types=("User",),
                ),
                Attribute(
                    "displayName", description="The manager's name: read it from their own resource.",
                    mutability="readOnly", returned="never",
                ),
            ),
            is_reference=True,
        ),
    ),
)  # fmt: skip

GROUP_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "displayName", description="The group's name; unique within the tenant.", uniqueness="server",
        required=True, path="displayName",
    ),
    Attribute(
        "externalId", description="The client's identifier of the group.", case_exact=True,
        path="externalId",
    ),
    complex_attribute(
        Attribute("members", description="The direct members of the group.", multi_valued=True, is_membership=True),
        Attribute(
            "value", description="The id of the member's User or Group resource.", mutability="immutable"
        ),
        Attribute(
            "$ref", "reference", "The address of the member's resource.", case_exact=True,
            mutability="immutable", reference_types=("User", "Group"),
        ),
        Attribute(
            "type", description="The member's resource type.", mutability="immutable",
            canonical_values=("User", "Group"),
        ),
    ),
)  # fmt: skip

COMMON_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "schemas", "reference", multi_valued=True, case_exact=True, mutability="readOnly", path="schemas"
    ),
    Attribute("id", case_exact=True, mutability="readOnly", returned="always", path="id"),
    complex_attribute(
        Attribute("meta", mutability="readOnly"),
        Attribute("resourceType", case_exact=True, mutability="readOnly"),
        Attribute("created", "dateTime", mutability="readOnly"),
        Attribute("lastModified", "dateTime", mutability="readOnly"),
        Attribute("location", "reference", case_exact=True, mutability="readOnly"),
        Attribute("version", case_exact=True, mutability="readOnly"),
    ),
)
"""RFC 7643 section 3.1: the server's, so that what a client sends for them is noise."""
