"""What to paste where, field by field as Microsoft names them. Pure."""

import base64
import binascii
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

HIDDEN: Final = "hidden; --show prints it"


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of the portal's form."""

    name: str
    value: str = dataclasses.field(repr=False)
    is_secret: bool = False

    def shown(self, *, show: bool) -> str:
        """Its value, unless it is a secret that is not to be shown."""
        return HIDDEN if self.is_secret and not show else self.value


AUTHENTICATION: Final[Mapping[str, str]] = {
    "BearerToken": "Bearer authentication",
    "OAuthClientCredentials": "OAuth2 Client Credentials Grant",
    "WorkloadIdentity": "Workload Identity Federation",
}
"""The choice under "Authentication method", by ``spec.auth.type``."""
_TENANT_URL: Final = ("Tenant URL", "endpoint", False)
_CLIENT: Final = (
    ("OAuth token endpoint (or Token Endpoint, Token URL)", "token-endpoint", False),
    ("Client ID (or Client Identifier)", "client-id", False),
)
_FIELDS: Final[Mapping[str, Sequence[tuple[str, str, bool]]]] = {
    "BearerToken": (_TENANT_URL, ("Secret Token", "token", True)),
    "OAuthClientCredentials": (_TENANT_URL, *_CLIENT, ("Client Secret", "client-secret", True)),
    "WorkloadIdentity": (_TENANT_URL, *_CLIENT),
}
"""Microsoft's names of each field, the Secret's key, and whether it is secret; docs/entra.md has the same table."""
WHERE: Final = "entra.microsoft.com, Entra ID, Enterprise apps, the application, Provisioning"


def fields(auth_type: str, secret: Mapping[str, Any]) -> Sequence[Field]:
    """The form's fields from a Secret, in the portal's order. Raises ``KeyError`` with the key that is missing."""
    data: Mapping[str, str] = secret.get("data") or {}
    return [
        Field(name, _decoded(data[key]), is_secret)
        for name, key, is_secret in _FIELDS.get(auth_type, _FIELDS["BearerToken"])
    ]


def names(auth_type: str) -> Sequence[str]:
    """The form's fields, known without the Secret."""
    return [name for name, _, _ in _FIELDS.get(auth_type, _FIELDS["BearerToken"])]


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "(not readable)"
