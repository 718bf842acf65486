"""Assertions of a workload identity, in each of the forms that Microsoft's pages, and a real token, have."""

import dataclasses
import enum
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from entra_standin.signing_keys import SigningKeys

LIFETIME_SECONDS: Final = 3900
"""65 minutes (Microsoft's workload identity guide, and seen on the wire)."""


class Variant(enum.StrEnum):
    """Which source is followed; they contradict each other in issuer, audience and names of claims."""

    GUIDE = "Guide"
    """Microsoft's Workload-Identity-Federation-for-SCIM-Provisioning: issuer of version 2, audience ``api://<app id>``,
    ``appid``."""
    VALIDATOR = "Validator"
    """The set-up page of Microsoft's validator: issuer without ``/v2.0``, the bare GUID as the audience."""
    SUCCESSFACTORS = "SuccessFactors"
    """Microsoft Learn on SAP SuccessFactors: issuer of version 2, the bare GUID as the audience."""
    OBSERVED = "Observed"
    """A real token: as the one before, with ``azp``, and ``sub`` equal to ``oid``."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """Whose assertions they are: GUIDs."""

    tenant_id: str
    app_id: str
    """Application id of the workload identity that the portal registers."""
    object_id: str
    """The *Subject* that the portal shows."""
    login_url: str = "https://login.microsoftonline.com"

    def issuer(self, variant: Variant) -> str:
        """Claim ``iss``."""
        end = "" if variant is Variant.VALIDATOR else "/v2.0"
        return f"{self.login_url}/{self.tenant_id}{end}"

    def audience(self, variant: Variant) -> str:
        """Claim ``aud``; the portal shows ``api://<app id>/.default`` beside each of them."""
        return f"api://{self.app_id}" if variant is Variant.GUIDE else self.app_id

    def claims(self, variant: Variant, now: float) -> dict[str, Any]:
        """All claims of an assertion that is issued at ``now``, a POSIX time. No ``jti`` and no ``roles``, as in Entra."""
        issued_at = int(now)
        claims: dict[str, Any] = {
            "aud": self.audience(variant),
            "iss": self.issuer(variant),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + LIFETIME_SECONDS,
            "aio": secrets.token_urlsafe(40),
            "idp": f"https://sts.windows.net/{self.tenant_id}/",
            "oid": self.object_id,
            "rh": f"1.{secrets.token_urlsafe(20)}.",
            "sub": self.object_id,
            "tid": self.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
        }
        if variant is Variant.GUIDE:
            claims |= {"appid": self.app_id, "appidacr": "2"}
        if variant is Variant.OBSERVED:
            claims |= {"azp": self.app_id, "azpacr": "2"}
        return claims


class Assertions:
    """Signs an assertion each time that one is asked for.

    Args:
        identity: whose.
        keys: of the issuer.
        variant: in which form.
        clock: POSIX time in seconds.
        changes: claims instead of those of the variant; None leaves one out.
    """

    def __init__(
        self,
        identity: WorkloadIdentity,
        keys: SigningKeys,
        variant: Variant = Variant.OBSERVED,
        *,
        clock: Callable[[], float] = time.time,
        **changes: Any,
    ) -> None:
        self._identity, self._keys, self._variant = identity, keys, variant
        self._clock, self._changes = clock, changes

    def __call__(self) -> str:
        """A JWT in compact form."""
        claims = self._identity.claims(self._variant, self._clock()) | self._changes
        return self._keys.sign({name: value for name, value in claims.items() if value is not None})
