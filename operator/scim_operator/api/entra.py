"""``spec.entra``: the enterprise application in Microsoft Entra that is handed each new credential, and watched.

Part of the models that the CRD is generated from: the docstring under a field is what ``kubectl explain`` prints.
"""

import enum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from scim_api.contract.admin import TenantGuid
from scim_operator.api.status import ApiModel

OBJECT_ID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
JOB_ID_PATTERN: Final = r"^[A-Za-z0-9._-]+$"
KUBERNETES_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
SECRET_KEY_PATTERN: Final = r"^[-._a-zA-Z0-9]+$"  # noqa: S105 (of the key of a Secret)

ObjectId = Annotated[str, StringConstraints(pattern=OBJECT_ID_PATTERN)]
KubernetesName = Annotated[str, StringConstraints(pattern=KUBERNETES_NAME_PATTERN, max_length=253)]


class GraphCloud(enum.StrEnum):
    """A cloud of Microsoft's with hosts of its own for Graph and login."""

    PUBLIC = "Public"
    US_GOVERNMENT = "USGovernment"
    US_GOVERNMENT_DOD = "USGovernmentDoD"
    CHINA = "China"


class ServiceAccountRef(ApiModel):
    """A ServiceAccount in the ScimToken's namespace."""

    name: KubernetesName
    """Its name. A Role has to let the operator create tokens for it (create on serviceaccounts/token)."""


class ClientSecretRef(ApiModel):
    """A key of a Secret in the ScimToken's namespace."""

    name: KubernetesName
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern=SECRET_KEY_PATTERN, max_length=253)]
    """The key of its data that holds the client secret."""


class CertificateRef(ApiModel):
    """A Secret of type kubernetes.io/tls in the ScimToken's namespace."""

    name: KubernetesName
    """The Secret's name. It is read anew for each sign-in, so that a renewed certificate is used at once."""


class EntraSignInSpec(ApiModel):
    """As which app registration the operator signs in, and with what: exactly one of serviceAccountRef,
    clientSecretRef and certificateRef, all from the ScimToken's own namespace.
    """

    client_id: Annotated[ObjectId, Field(alias="clientID")]
    """Application (client) id of the app registration that has the rights in Microsoft Graph."""
    service_account_ref: ServiceAccountRef | None = None
    """Sign in by a token of this ServiceAccount, with no secret anywhere: the app registration has a federated
    credential with subject system:serviceaccount:<namespace>:<name>."""
    client_secret_ref: ClientSecretRef | None = None
    """Sign in with a client secret of the app registration."""
    certificate_ref: CertificateRef | None = None
    """Sign in with a certificate of the app registration, such as one that cert-manager renews."""

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        given = [self.service_account_ref, self.client_secret_ref, self.certificate_ref]
        if sum(item is not None for item in given) != 1:
            raise ValueError(
                "should have exactly one of serviceAccountRef, clientSecretRef and certificateRef"
            )
        return self


class EntraSpec(ApiModel):
    """The enterprise application that provisions with this ScimToken. Entra gets each new credential by itself, and
    the provisioning job is watched.
    """

    tenant_id: Annotated[TenantGuid, Field(alias="tenantID")]
    """The Entra tenant's id, a GUID in lower case."""
    service_principal_id: Annotated[ObjectId, Field(alias="servicePrincipalID")]
    """Object id of the enterprise application, as its page Overview shows it; not the application id."""
    job_id: Annotated[
        Annotated[str, StringConstraints(pattern=JOB_ID_PATTERN, max_length=128)] | None, Field(alias="jobID")
    ] = None
    """Id of the provisioning job. Default: the application's only one."""
    cloud: GraphCloud = GraphCloud.PUBLIC
    """Which of Microsoft's clouds: Public (default), USGovernment, USGovernmentDoD or China. The hosts of login and
    Graph follow from it."""
    sign_in: EntraSignInSpec
    """As whom the operator signs in."""
    hand_over: Literal["Automatic", "ValidateOnly", "Off"] = "Automatic"
    """Automatic (default): each new credential is validated by Entra, saved there, validated as saved, and seen in
    use. ValidateOnly: Entra validates it, and a person saves it. Off: the job is watched and nothing more."""
    on_quarantine: Literal["Recover", "Report"] = "Recover"
    """Recover (default): a job in quarantine is started again as soon as Entra's Test Connection passes, unless Entra
    stopped it to protect data. Report: only the condition Provisioning says so."""
