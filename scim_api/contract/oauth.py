"""What both programs agree on about OAuth 2.0: where the token endpoint is, client ids, Entra's clouds."""

import dataclasses
import enum
import uuid
from typing import Final

SCIM_PATH: Final = "/scim/v2"
TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 (a path)
"""Of the token endpoint (RFC 6749 section 3.2), beside ``/scim/v2``."""
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""``client_assertion_type`` of a JWT (RFC 7523 section 2.2)."""
_CLIENT_IDS: Final = uuid.UUID("5b0f2f0e-5a0e-4b8e-9d0a-2d1f6a0c9e37")


def token_endpoint(endpoint: str) -> str:
    """The token endpoint's URL, for the SCIM base URL."""
    return f"{endpoint.rstrip('/').removesuffix(SCIM_PATH)}{TOKEN_PATH}"


def client_id_of(installation: str, namespace: str, name: str) -> str:
    """The client id of a ScimToken: the same for as long as the installation has one of this name, whatever is lost.

    Public, unlike in each installation, and made of characters that nothing needs to encode.
    """
    return str(uuid.uuid5(_CLIENT_IDS, f"{installation}/{namespace}/{name}"))


class Cloud(enum.StrEnum):
    """A cloud of Microsoft's with login hosts of its own."""

    PUBLIC = "Public"
    US_GOVERNMENT = "USGovernment"
    CHINA = "China"


@dataclasses.dataclass(frozen=True, slots=True)
class CloudLogin:
    """The login hosts of a cloud: the first one issues and publishes keys, the others are seen in the wild."""

    hosts: tuple[str, ...]
    v1_issuer: str
    """Prefix of the issuer in tokens of version 1, before the tenant."""

    def issuers(self, tenant_id: str) -> tuple[str, ...]:
        """Issuers that sign for a tenant, as Microsoft's pages and tokens have them: with and without ``/v2.0``, and of
        version 1.
        """
        forms = [f"https://{host}/{tenant_id}{end}" for host in self.hosts for end in ("/v2.0", "")]
        return (*forms, f"{self.v1_issuer}{tenant_id}/")

    def keys_url(self, tenant_id: str) -> str:
        """Where their keys are published (JWKS)."""
        return f"https://{self.hosts[0]}/{tenant_id}/discovery/v2.0/keys"


CLOUDS: Final = {
    Cloud.PUBLIC: CloudLogin(("login.microsoftonline.com", "login.windows.net"), "https://sts.windows.net/"),
    Cloud.US_GOVERNMENT: CloudLogin(("login.microsoftonline.us",), "https://sts.windows.net/"),
    Cloud.CHINA: CloudLogin(
        ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"), "https://sts.chinacloudapi.cn/"
    ),
}
"""Facts about the login hosts; whether workload identity exists outside the public cloud is not documented."""

LOGIN_HOSTS: Final = tuple(sorted({host for login in CLOUDS.values() for host in login.hosts}))
"""From where keys are fetched unless an administrator says otherwise."""
