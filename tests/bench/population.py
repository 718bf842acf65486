"""The people that are benchmarked, any number of them: the n-th is always the same, and so is its id."""

import uuid
from typing import Any, Final

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
_ODD: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835
_GIVEN: Final = ("Ada", "Björn", "Chloé", "Dmitri", "Elif", "Fatima", "Grace", "Hiroshi")
_FAMILY: Final = ("Ackermann", "Brontë", "Castillo", "Dąbrowski", "Eriksson", "Ferrari", "Gül", "Haddad")
_DEPARTMENTS: Final = ("Research & Development", "Sales", "Finance", "People", "Support")


def identity(number: int) -> str:
    """The id under which person ``number`` is loaded: spread like random ones, and known without a list."""
    return str(uuid.UUID(int=((number + 1) * _ODD) % 2**128, version=4))


def user_name(number: int) -> str:
    """Its userName, and its work e-mail."""
    return f"person.{number}@contoso.example"


def person(number: int) -> dict[str, Any]:
    """The body that Entra's default mapping sends for it."""
    given, family = _GIVEN[number % 8], _FAMILY[number // 8 % 8]
    return {
        "schemas": [CORE, ENTERPRISE],
        "externalId": f"p{number:07}",
        "userName": user_name(number),
        "active": True,
        "displayName": f"{given} {family} {number}",
        "emails": [{"primary": True, "type": "work", "value": user_name(number)}],
        "name": {"formatted": f"{given} {family}", "familyName": family, "givenName": given},
        "title": "Engineer",
        "addresses": [{"type": "work", "country": "DE", "locality": "Köln", "postalCode": "50667"}],
        "phoneNumbers": [{"type": "work", "value": f"+49 221 {number:07}"}],
        ENTERPRISE: {"department": _DEPARTMENTS[number % 5], "employeeNumber": f"{number:07}"},
    }


def changes(number: int, turn: int) -> dict[str, Any]:
    """A PATCH of that person in Entra's first dialect: four Replace operations, new values each turn."""
    operations = (
        ("displayName", f"Person {number} in turn {turn}"),
        ("title", f"Engineer {turn}"),
        ('addresses[type eq "work"].country', ("DE", "FR", "PL", "TR")[turn % 4]),
        (f"{ENTERPRISE}:department", f"Department {turn}"),
    )
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": path, "value": value} for path, value in operations],
    }
