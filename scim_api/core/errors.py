"""SCIM errors (RFC 7644 section 3.12), as sentences an administrator reads in Entra's provisioning log.

A detail names the attribute, the problem and the remedy, and never repeats more than 100 characters of
what the client sent.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from scim_api.contract import urns
from scim_api.core import json_numbers
from scim_api.core.limits import MAX_QUOTED


class ScimError(Exception):
    """An answer other than success.

    Args:
        status: the HTTP status.
        detail: what is wrong, where, and what to do.
        scim_type: a keyword of RFC 7644 table 9, where one fits.
    """

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type

    def body(self) -> bytes:
        """The JSON body of RFC 7644 section 3.12."""
        content: dict[str, object] = {"schemas": [urns.ERROR], "status": str(self.status)}
        if self.scim_type is not None:
            content["scimType"] = self.scim_type
        content["detail"] = self.detail.encode("utf-8", "replace").decode("utf-8")
        return orjson.dumps(content)


def quoted(value: object) -> str:
    """A client's value for a sentence, as it was sent: a string between quotation marks, all else as JSON.

    On one line, and at most 100 characters of it.
    """
    text = value if isinstance(value, str) else _json(value)
    short = text[:MAX_QUOTED] + ("…" if len(text) > MAX_QUOTED else "")
    line = "".join(c if c.isprintable() else "\ufffd" for c in short)
    return f'"{line}"' if isinstance(value, str) else line


def _json(value: object) -> str:
    try:
        return json_numbers.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits, in a filter
        return json.dumps(value, ensure_ascii=False, default=str)


def described(value: object) -> str:
    """As ``quoted``, but objects and arrays are only named: what is in them may be confidential."""
    return (
        "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else quoted(value)
    )


def told(values: Mapping[str, Any], name: str) -> str:
    """What a message says under a name, for a sentence after ``is``: absent and null are two things.

    Args:
        values: of the message, by name in lower case.
        name: in lower case.
    """
    return described(values[name]) if name in values else "missing"


def invalid_syntax(detail: str) -> ScimError:
    """The body is not JSON, or not shaped as a SCIM message."""
    return ScimError(400, detail, "invalidSyntax")


def invalid_value(detail: str) -> ScimError:
    """A value is missing or does not fit its attribute."""
    return ScimError(400, detail, "invalidValue")


def invalid_filter(detail: str) -> ScimError:
    """The filter cannot be read or names something that cannot be compared."""
    return ScimError(400, detail, "invalidFilter")


def invalid_path(detail: str) -> ScimError:
    """The path of a PATCH operation cannot be read or names no attribute."""
    return ScimError(400, detail, "invalidPath")


def no_target(detail: str) -> ScimError:
    """A PATCH operation selects nothing that it could change."""
    return ScimError(400, detail, "noTarget")


def mutability(detail: str) -> ScimError:
    """The attribute is read-only, or required and about to vanish (RFC 7644 section 3.5.2.2)."""
    return ScimError(400, detail, "mutability")


def too_many(detail: str) -> ScimError:
    """A search is too expensive to answer."""
    return ScimError(400, detail, "tooMany")


def too_large(detail: str) -> ScimError:
    """A body, or the resource that it would make, exceeds its limit."""
    return ScimError(413, detail)


def unprocessable(detail: str) -> ScimError:
    """The matching attribute is missing; Entra skips the user as UnprocessableEntry."""
    return ScimError(422, detail, "invalidValue")


def not_found(kind: str, resource_id: str) -> ScimError:
    """No such resource in this tenant."""
    return ScimError(404, f"{kind} {quoted(resource_id)} does not exist; it may have been deleted.")


def uniqueness(attribute: str) -> ScimError:
    """Another resource of the tenant has this value.

    Args:
        attribute: ``userName``, ``externalId``, ``emails`` or, of groups, ``displayName``.
    """
    name = 'work e-mail (emails[type eq "work"].value)' if attribute == "emails" else attribute
    return ScimError(
        409,
        f"Another {'group' if attribute == 'displayName' else 'resource'} of this tenant already has this {name}."
        " It must be unique: change the value, or match the existing resource instead of creating a second one.",
        "uniqueness",
    )
