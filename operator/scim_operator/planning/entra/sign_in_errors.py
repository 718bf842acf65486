"""What the login's error codes mean, and what to do about each.

The codes are those of Microsoft Entra, "Microsoft Entra authentication and authorization error codes" (AADSTS).
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Final

from scim_operator.planning.entra.clouds import GRAPH_APP_ID, Endpoints
from scim_operator.planning.entra.ports import (
    Application,
    CertificateIdentity,
    ClientSecretIdentity,
    Identity,
    Obstacle,
    ServiceAccountIdentity,
)

SYNCHRONIZATION_READ_WRITE_ALL: Final = "9b50c33d-700f-43b1-b2eb-87e89b703581"
"""Id of Graph's app role of this name."""
_CODE: Final = re.compile(r"AADSTS([0-9]{4,9})")


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who calls whom."""

    application: Application
    identity: Identity
    endpoints: Endpoints

    @property
    def consent_url(self) -> str:
        """Where an administrator of the tenant consents."""
        return self.endpoints.admin_consent_url(self.application.tenant_id, self.identity.client_id)

    @property
    def confidential(self) -> tuple[str, ...]:
        """What of the identity must never be repeated."""
        match self.identity:
            case ClientSecretIdentity(secret=secret):
                return (secret,)
            case CertificateIdentity(private_key=key):
                return (key,)
            case ServiceAccountIdentity():
                return ()


@dataclasses.dataclass(frozen=True, slots=True)
class SignInRefusal:
    """Why the login refused, in words."""

    obstacle: Obstacle
    text: str


_Explanation = Callable[[Caller], SignInRefusal]


def codes_in(error_codes: object, description: str) -> tuple[int, ...]:
    """The AADSTS numbers of an answer, from its list and from its words."""
    listed = error_codes if isinstance(error_codes, list) else []
    numbers = [code for code in listed if isinstance(code, int) and not isinstance(code, bool)]
    return tuple(dict.fromkeys((*numbers, *map(int, _CODE.findall(description)))))


def explain(codes: tuple[int, ...], caller: Caller) -> SignInRefusal | None:
    """What the first code that is known here means; None when none is."""
    return next((_EXPLANATIONS[code](caller) for code in codes if code in _EXPLANATIONS), None)


def missing_grant(caller: Caller) -> str:
    """What to grant, by Azure CLI."""
    client, graph = caller.identity.client_id, caller.endpoints.graph
    owners = f"{graph}/v1.0/servicePrincipals/{caller.application.service_principal_id}/owners/$ref"
    return (
        f"Grant application {client} the app role Synchronization.ReadWrite.All: "
        f"az ad app permission add --id {client} --api {GRAPH_APP_ID} "
        f"--api-permissions {SYNCHRONIZATION_READ_WRITE_ALL}=Role && "
        f"az ad app permission admin-consent --id {client}; in a customer's tenant its administrator consents at "
        f"{caller.consent_url}. Narrower, but not enough for every call: Application.ReadWrite.OwnedBy, and the "
        f"application as owner of the enterprise application: az rest --method POST --url '{owners}' --body "
        f'"{{\\"@odata.id\\":\\"{graph}/v1.0/directoryObjects/$(az ad sp show --id {client} --query id -o tsv)\\"}}". '
        "A new grant shows only in a new access token; the operator gets one with its next try"
    )


def _refused(text: str) -> _Explanation:
    return lambda caller: SignInRefusal(
        Obstacle.SIGN_IN_REFUSED,
        text.format(
            client=caller.identity.client_id,
            tenant=caller.application.tenant_id,
            cloud=caller.application.cloud.value,
        ),
    )


def _later(text: str) -> _Explanation:
    return lambda _caller: SignInRefusal(Obstacle.UNREACHABLE, text)


def _no_federated_credential(caller: Caller) -> SignInRefusal:
    client, identity = caller.identity.client_id, caller.identity
    if not isinstance(identity, ServiceAccountIdentity):
        return SignInRefusal(
            Obstacle.SIGN_IN_REFUSED, f"no credential of app registration {client} fits the one it was shown"
        )
    return SignInRefusal(
        Obstacle.SIGN_IN_REFUSED,
        f"no federated credential of app registration {client} fits. It needs one with "
        f"subject system:serviceaccount:{identity.namespace}:{identity.name}, "
        f"audience {caller.endpoints.exchange_audience}, and the cluster's issuer, character by character: "
        "kubectl get --raw /.well-known/openid-configuration (az ad app federated-credential create). "
        "One that was made just now is taken minutes later",
    )


def _consent_missing(caller: Caller) -> SignInRefusal:
    client, tenant = caller.identity.client_id, caller.application.tenant_id
    return SignInRefusal(
        Obstacle.CONSENT_MISSING,
        f"application {client} is not known in tenant {tenant}, or was not consented to there. An administrator of "
        f"that tenant opens {caller.consent_url} and consents; the application has to be multi-tenant unless that "
        "tenant is its own. If it is, spec.entra.signIn.clientID is wrong",
    )


_CLOCK: Final = _refused(
    "the assertion is outside of its time by Microsoft's clock: set the clocks of the nodes (NTP), of the API "
    "server's above all, which signs the ServiceAccount's token"
)
_NO_TENANT: Final = _refused(
    "there is no tenant {tenant} in cloud {cloud}: correct spec.entra.tenantID or spec.entra.cloud"
)
_CERTIFICATE: Final = _refused(
    "the certificate is not among those of app registration {client}, or is out of its time: upload the one in the "
    "Secret (az ad app credential reset --id {client} --cert @tls.crt --append)"
)
_CONDITIONAL_ACCESS: Final = _refused(
    "a Conditional Access policy of the tenant blocks application {client}: exclude it, or allow the address by which "
    "the operator leaves the cluster (workload identities, named locations)"
)
_ISSUER_UNREACHABLE: Final = _refused(
    "Microsoft can't read the keys of the cluster's issuer: <issuer>/.well-known/openid-configuration and the jwks_uri "
    "in it have to be reachable from the Internet. Without that use signIn.certificateRef or signIn.clientSecretRef"
)
_ASSERTION: Final = _refused(
    "the login does not take the assertion for app registration {client}: a certificate's is for the token endpoint as "
    "SCIM_OPERATOR_ENTRA_LOGIN_URL names it, so that has to be Microsoft's own"
)
_BUSY: Final = _later("Microsoft's login is busy")

_EXPLANATIONS: Final[Mapping[int, _Explanation]] = {
    70021: _no_federated_credential,
    700211: _no_federated_credential,
    700212: _no_federated_credential,
    700213: _no_federated_credential,
    7002138: _no_federated_credential,
    700024: _CLOCK,
    700021: _ASSERTION,
    700023: _ASSERTION,
    50027: _ASSERTION,
    7000272: _refused(
        "the keys that the cluster's issuer publishes lack the one that signed the ServiceAccount's token: publish what "
        "kubectl get --raw /openid/v1/jwks prints"
    ),
    50166: _ISSUER_UNREACHABLE,
    90061: _ISSUER_UNREACHABLE,
    501661: _ISSUER_UNREACHABLE,
    7000215: _refused(
        "the client secret is wrong: the Secret has to hold its Value, not its Secret ID (Certificates & secrets of "
        "app registration {client})"
    ),
    7000222: _refused(
        "the client secret has expired: make a new one (az ad app credential reset --id {client} --append) and write "
        "it into the Secret"
    ),
    7000216: _refused(
        "app registration {client} takes no sign-in without a secret, certificate or assertion"
    ),
    7000218: _refused(
        "app registration {client} takes no sign-in without a secret, certificate or assertion"
    ),
    700027: _CERTIFICATE,
    7000214: _CERTIFICATE,
    1000502: _CERTIFICATE,
    50012: _CERTIFICATE,
    700016: _consent_missing,
    7000229: _consent_missing,
    65001: _consent_missing,
    650052: _consent_missing,
    650056: _consent_missing,
    650057: _consent_missing,
    7000112: _refused(
        "application {client} is disabled in tenant {tenant}: enable its users' sign-in (enterprise application, "
        "Properties)"
    ),
    90002: _NO_TENANT,
    900021: _NO_TENANT,
    900023: _NO_TENANT,
    900382: _refused(
        "application {client} belongs to another cloud than {cloud}: correct spec.entra.cloud, or use an application "
        "of that cloud"
    ),
    500011: _refused(
        "tenant {tenant} does not know Microsoft Graph by the name that was asked for: does spec.entra.cloud ({cloud}) "
        "name the tenant's cloud?"
    ),
    53003: _CONDITIONAL_ACCESS,
    530031: _CONDITIONAL_ACCESS,
    530034: _CONDITIONAL_ACCESS,
    90033: _BUSY,
    50196: _BUSY,
    90055: _BUSY,
}
