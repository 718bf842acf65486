"""The ScimToken as the cluster holds it. The CRD is generated from these models (``scim_operator.api.crd``).

The docstring under a field is what ``kubectl explain`` prints. Whatever reads an object ignores fields that it
does not know: an older operator meets objects of a newer CRD during an upgrade.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from scim_api.contract import admin
from scim_api.contract.admin import Matching, TenantSettings
from scim_operator.api import unknown_values
from scim_operator.api.auth import AuthSpec
from scim_operator.api.custom_object import (
    GROUP,
    NAME_LIMIT,
    ROTATE_ANNOTATION,
    CustomObject,
    DnsName,
    Duration,
    LabelValue,
)
from scim_operator.api.denied_metadata import without_denied
from scim_operator.api.durations import OVERLAP_PATTERN, Until, parse_duration, parse_overlap
from scim_operator.api.entra import EntraSpec
from scim_operator.api.status import REQUEST_LIMIT, ApiModel, ScimTokenStatus, readable_part
from scim_operator.api.status import format_time as format_time  # noqa: PLC0414  (re-exported: times of its objects)

KIND: Final = "ScimToken"
PLURAL: Final = "scimtokens"
ENTRA_FIELD_MANAGER: Final = "scim-operator-entra"
"""Of ``status.entra`` and its conditions."""

REVOKE_ANNOTATION: Final = f"{GROUP}/revoke"
"""On a ScimToken: ``<token id>``, ``all-superseded`` or ``all-before/<RFC 3339>``."""
FULL_CYCLE_ANNOTATION: Final = f"{GROUP}/full-cycle"
"""On a ScimToken with ``spec.entra``: any new value has Entra begin anew with a whole initial cycle, once."""
PROVISION_ON_DEMAND_ANNOTATION: Final = f"{GROUP}/provision-on-demand"
"""On a ScimToken with ``spec.entra``: ``<object id>`` of a user that Entra is to provision now, once for each value;
``<object id>/<anything>`` for the same user once more."""
FORCE_DELETE_ANNOTATION: Final = f"{GROUP}/force-delete"
"""On a ScimToken that is being deleted: ``true`` lets it go although the API has not finished, or not begun."""
TOKENS_ANNOTATION: Final = f"{GROUP}/tokens"
"""On its Secret: id, digest and times of every token still in its time."""
REPLACES_ANNOTATION: Final = f"{GROUP}/replaces"
"""On its Secret while ``spec.secret.name`` changes: the Secret, ``<name>@<resourceVersion>``, that may go now."""
FINALIZER: Final = f"{GROUP}/delete-users"
TOKEN_LABEL: Final = f"{GROUP}/token"
"""On a Secret: the ScimToken's name, which the CRD therefore limits to ``NAME_LIMIT``."""
DEFAULT_ROTATE_SHARE: Final = 3
"""Without ``rotateBefore`` the last third of a token's lifetime is left when its successor comes."""


Overlap = Annotated[str, StringConstraints(pattern=OVERLAP_PATTERN, max_length=11)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]


class SecretTemplate(ApiModel):
    """The Secret that receives the endpoint and the token."""

    name: Annotated[DnsName, StringConstraints(max_length=253)] | None = None
    """Name of the Secret, in the ScimToken's namespace. Default: <name of the ScimToken>-scim-token. A Secret
    that exists already and belongs to somebody else is never touched: the condition Ready then says
    SecretNotOwned. When you change the name, the token moves and the old Secret is deleted."""
    labels: Annotated[dict[str, LabelValue], Field(max_length=64)] = {}
    """Labels to put on the Secret, next to the operator's own."""
    annotations: Annotated[dict[str, str], Field(max_length=64)] = {}
    """Annotations to put on the Secret. Labels and annotations that whoever runs the operator has denied, by
    default those of tools that mirror Secrets to other namespaces, are left out; the condition
    SecretMetadataDenied then names them."""


class CustomFieldSpec(ApiModel):
    """One attribute of the tenant's custom extension schema."""

    name: FieldName
    """The attribute's name, as it is mapped in Entra: a letter, then letters, digits and _. Names that
    differ only in case count as the same name."""
    type: Literal["Any", "String", "Boolean", "Integer", "Decimal", "DateTime"] = "Any"
    """What values it takes. Any (default) stores every JSON value as it was sent; another type refuses
    values that do not fit with an error that Entra shows in its provisioning log."""
    multi_valued: bool = False
    """Whether it holds a list of values instead of one."""


class RateLimitSpec(ApiModel):
    """How many requests the tenant may send before it is told to wait (429 with Retry-After)."""

    requests_per_second: Annotated[int, Field(ge=25, le=100_000)] = 50
    """Requests let through each second, by each replica of the SCIM API. At least 25, which is what
    Entra expects of a provisioning endpoint."""
    burst: Annotated[int, Field(ge=25, le=100_000)] = 100
    """Requests let through at once after a quiet time."""


class ScimTokenSpec(ApiModel):
    """What you want: whose directory, how long tokens live, and when they are replaced."""

    tenant: Annotated[DnsName, StringConstraints(max_length=NAME_LIMIT)] | None = None
    """Whose directory the token opens. Users are isolated by namespace and tenant; ScimTokens of one
    namespace that name the same tenant share its users, and must agree on matching, customFields, groups,
    rateLimit and deletionPolicy. Default: the ScimToken's name. Cannot be changed later: create another
    ScimToken instead."""
    access: admin.AccessMode = "ReadWrite"
    """What the token may do. ReadWrite (default) is for Entra, which provisions. ReadOnly is for an application that
    reads the tenant's users and groups: every change is answered 403. matching, customFields, groups, rateLimit,
    deletionPolicy and entra are left out there: those of the tenant's ReadWrite ScimTokens hold. Cannot be changed
    later: create another ScimToken instead."""
    auth: AuthSpec = AuthSpec()
    """How Entra signs in: with a secret token (default), with OAuth 2.0 client credentials, or with a workload
    identity. lifetime, rotateBefore and overlap count for client secrets as they do for tokens."""
    lifetime: Duration = "90d"
    """How long each token is valid: a number and s, m, h or d, from 60s to 3650d. Default: 90d. A change
    counts from the next token on; the present one keeps the expiry it was issued with."""
    rotate_before: Duration | None = None
    """How long before its expiry a token is replaced: the new one is in the Secret from then on, while the
    old one stays valid for the time that overlap allows, so no request is rejected. It is also the time that
    you, or whatever carries the token to Entra, have for it. A number and s, m, h or d, such as 30d, at
    most half of lifetime. Default: a third of lifetime."""
    overlap: Overlap = "untilExpiry"
    """How long a token that was replaced stays valid: untilExpiry (default) lets it live to its own end, so
    that Entra can keep using it until it has the new one; untilInUse ends it when the new one was used and it
    itself was not for two hours, or else at its own end; a duration such as 24h, at most lifetime, ends it
    sooner; 0s ends it at once, and Entra's requests are rejected until it has the new one."""
    secret: SecretTemplate = SecretTemplate()
    """The Secret that receives endpoint (Entra's Tenant URL) and, by auth.type, token (Entra's Secret Token),
    token-id and expires-at; or token-endpoint, client-id, client-secret, client-secret-id and expires-at; or
    token-endpoint and client-id alone."""
    matching: Matching = Matching.WORK_EMAIL
    """What identifies a user, as in matching precedence 1 of the mapping in Entra: workEmail (default),
    userName or externalId. It is unique within the tenant, and a user without it is refused. Cannot be
    changed later: the users in the directory were told apart by it."""
    custom_fields: Annotated[tuple[CustomFieldSpec, ...], Field(max_length=100)] = ()
    """Attributes beyond SCIM's User and EnterpriseUser, which Entra sends as
    urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:<name>. An attribute that is not
    declared here is refused with an error that names it, never dropped."""
    groups: Literal["Enabled", "Disabled"] = "Enabled"
    """Whether groups are served. Enabled (default) serves them with their members; Disabled answers as a
    server without groups, for which group provisioning is switched off in Entra too."""
    rate_limit: RateLimitSpec = RateLimitSpec()
    """How many requests the tenant may send before it is told to wait. Never answered with 401: Entra takes
    a 429 for what it is and tries again."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """What happens to the tenant's users when its last ScimToken is deleted. Retain (default) revokes the
    tokens and keeps the users; a new ScimToken for the tenant finds them again. Delete erases the users too,
    and the ScimToken stays visible until that is done."""
    entra: EntraSpec | None = None
    """The enterprise application in Microsoft Entra that provisions with it: Entra gets each new credential by itself,
    and the provisioning job is watched. Left out, a person pastes."""
    suspend: bool = False
    """Freeze rotation: the token is not replaced when its time comes, nor on the annotation
    scim-operator.io/rotate, which is done when suspend ends. Everything else goes on: a token that is missing,
    damaged, expired or to be revoked is replaced, changes of spec take effect, and the status is kept."""


class SpecNotUnderstood(Exception):
    """Something asked for ``spec`` of a ScimToken whose spec this version does not understand."""


class ScimToken(CustomObject):
    """A SCIM provisioning token for Microsoft Entra ID: applied, it yields a Secret with the endpoint URL and
    the token, which is replaced before it expires.
    """

    kind: ClassVar[str] = KIND
    plural: ClassVar[str] = PLURAL
    secret_label: ClassVar[str] = TOKEN_LABEL
    kept_annotation: ClassVar[str] = TOKENS_ANNOTATION

    spec: ScimTokenSpec | None = ScimTokenSpec()
    """None when this version does not understand it; ``not_understood`` says why."""
    status: ScimTokenStatus = ScimTokenStatus()
    not_understood: tuple[str, ...] = ()
    """The fields of spec with a value that this version does not know, each with what it takes there."""
    denied_keys: Annotated[tuple[str, ...], Field(exclude=True)] = ()
    """Keys of labels and annotations that ``denying`` has taken out of ``spec.secret``; not part of the object."""

    @field_validator("status", mode="wrap")
    @classmethod
    def _readable_part(cls, value: object, read: ValidatorFunctionWrapHandler) -> ScimTokenStatus:
        return readable_part(ScimTokenStatus, value, read)

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> Self:
        """Read what the API server sent, ignoring fields that this version does not know. A value in spec that it
        does not know, which a newer CRD takes, makes ``spec`` None.
        """
        spec, problems = _read_spec(body.get("spec"))
        return cls.model_validate({**body, "spec": spec, "notUnderstood": problems})

    @property
    def understood_spec(self) -> ScimTokenSpec:
        """``spec``, for what can't be done without.

        Raises:
            SpecNotUnderstood: this version does not understand it.
        """
        if self.spec is None:
            raise SpecNotUnderstood(f"ScimToken {self.key}: {'; '.join(self.not_understood)}")
        return self.spec

    @property
    def tenant(self) -> str:
        """The tenant in effect; while spec is not understood, the one that status tells."""
        named = self.status.tenant if self.spec is None else self.spec.tenant
        return named or self.metadata.name

    @property
    def secret_name(self) -> str:
        """The name of the Secret in effect; while spec is not understood, the one that status tells."""
        named = self.status.secret_name if self.spec is None else self.spec.secret.name
        return named or f"{self.metadata.name}-scim-token"

    def with_secret_name(self, name: str) -> Self:
        """The same, with another name for its Secret."""
        spec = self.understood_spec
        template = spec.secret.model_copy(update={"name": name})
        return self.model_copy(update={"spec": spec.model_copy(update={"secret": template})})

    @property
    def is_read_only(self) -> bool:
        """Whether it is for an application that reads, and not for Entra."""
        return self.spec is not None and self.spec.access == "ReadOnly"

    @property
    def lifetime(self) -> timedelta:
        """How long a new token is valid."""
        return parse_duration(self.understood_spec.lifetime)

    @property
    def rotate_before(self) -> timedelta:
        """How long before expiry to rotate, the default included."""
        rotate_before = self.understood_spec.rotate_before
        return (
            self.lifetime / DEFAULT_ROTATE_SHARE if rotate_before is None else parse_duration(rotate_before)
        )

    @property
    def overlap(self) -> timedelta | Until:
        """How long a superseded token stays valid, or until when."""
        return parse_overlap(self.understood_spec.overlap)

    @property
    def rotate_request(self) -> str | None:
        """The value of the annotation that asks for a rotation."""
        return self.metadata.annotations.get(ROTATE_ANNOTATION)

    @property
    def revoke_request(self) -> str | None:
        """The value of the annotation that asks for a revocation."""
        return self.metadata.annotations.get(REVOKE_ANNOTATION)

    @property
    def full_cycle_request(self) -> str | None:
        """The value of the annotation that asks Entra for a whole initial cycle."""
        return _request(self.metadata.annotations.get(FULL_CYCLE_ANNOTATION))

    @property
    def on_demand_request(self) -> str | None:
        """The value of the annotation that asks Entra to provision one user."""
        return _request(self.metadata.annotations.get(PROVISION_ON_DEMAND_ANNOTATION))

    @property
    def deletion_is_forced(self) -> bool:
        """Whether its deletion is not to wait for the SCIM API."""
        return self.metadata.annotations.get(FORCE_DELETE_ANNOTATION) == "true"

    def denying(self, domains: Collection[str]) -> Self:
        """The same without the labels and annotations of its Secret that are denied; ``denied_keys`` names them.

        Args:
            domains: see ``is_denied``.
        """
        if self.spec is None:
            return self
        secret, denied = without_denied(self.spec.secret, domains)
        if not denied:
            return self
        spec = self.spec.model_copy(update={"secret": secret})
        return self.model_copy(update={"spec": spec, "denied_keys": denied})

    def secret_labels(self) -> dict[str, str]:
        """Labels of its Secret: the spec's, then ours, by which the operator finds it."""
        return {**self.understood_spec.secret.labels, **self.owned_labels()}

    def secret_annotations(self) -> dict[str, str]:
        """Annotations that the spec wants on its Secret; ours are not the spec's to set."""
        wanted = self.understood_spec.secret.annotations
        return {name: wanted[name] for name in wanted if name not in (TOKENS_ANNOTATION, REPLACES_ANNOTATION)}

    def tenant_settings(self) -> TenantSettings | None:
        """The part of the spec that belongs to the tenant, as the admin API takes it; None: it is not this one's to set."""
        spec = self.understood_spec
        if spec.access == "ReadOnly":
            return None
        return TenantSettings(
            matching=spec.matching,
            groups=spec.groups,
            custom_fields=tuple(admin.CustomField(**field.model_dump()) for field in spec.custom_fields),
            rate_limit=admin.RateLimit(**spec.rate_limit.model_dump()),
            deletion_policy=spec.deletion_policy,
        )


def _request(value: str | None) -> str | None:
    """As much of it as ``status.entra`` remembers: a longer one would be carried out for ever."""
    return None if value is None else value[:REQUEST_LIMIT]


def _read_spec(value: object) -> tuple[ScimTokenSpec | None, tuple[str, ...]]:
    """The spec, or None and what of it is not understood. Null is as good as absent."""
    try:
        spec = ScimTokenSpec.model_validate({} if value is None else value)
    except ValidationError as error:
        return None, unknown_values.fields(error)
    problems = unknown_values.impossible_durations(spec.lifetime, spec.rotate_before)
    return (None, problems) if problems else (spec, ())
