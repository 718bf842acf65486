"""The ScimWebhook as the cluster holds it. Its CRD is generated from these models (``scim_operator.api.crd``).

The docstring under a field is what ``kubectl explain`` prints.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Self, get_args

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, field_validator

from scim_api.contract.change_types import ChangeType
from scim_api.contract.webhooks import REQUEST_LIMIT, Content
from scim_operator.api import unknown_values
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
from scim_operator.api.durations import PATTERN, parse_duration
from scim_operator.api.status import ApiModel, readable_part
from scim_operator.api.webhook_status import ScimWebhookStatus

KIND: Final = "ScimWebhook"
PLURAL: Final = "scimwebhooks"
WEBHOOK_LABEL: Final = f"{GROUP}/webhook"
"""On a Secret: the ScimWebhook's name, which the CRD therefore limits to ``NAME_LIMIT``."""
TEST_ANNOTATION: Final = f"{GROUP}/test"
"""On a ScimWebhook: any new value sends a message of type ``ping``, once."""
REDELIVER_FROM_ANNOTATION: Final = f"{GROUP}/redeliver-from"
"""On a ScimWebhook: a time (RFC 3339) from which on changes are sent again, once for each value."""
ANSWERED_ROTATE_ANNOTATION: Final = f"{GROUP}/answered-rotate"
"""On its Secret: the value of ``rotate`` that its secret was made for."""
NAME_SUFFIX: Final = "-scim-webhook"
"""After a ScimWebhook's name: the name of its Secret, unless spec says another."""
NEVER: Final = "never"
ROTATE_AFTER_PATTERN: Final = rf"^({NEVER}|{PATTERN.strip('^$')})$"
_PORT: Final = (
    "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"  # up to 65535
)
URL_PATTERN: Final = (
    r"^https?://([0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(" + _PORT + r"))?(/[!\"$-\[\]-~]*)?$"
)
"""What the dispatcher asks: neither user nor fragment, nothing but ASCII, and a path before a query."""


class WebhookSecretTemplate(ApiModel):
    """The Secret that receives the signing secret."""

    name: Annotated[DnsName, StringConstraints(max_length=253)] | None = None
    """Name of the Secret, in the ScimWebhook's namespace. Default: <name of the ScimWebhook>-scim-webhook. A Secret that
    exists already and belongs to somebody else is never touched: the condition Ready then says SecretNotOwned. Cannot
    be changed later: create another ScimWebhook instead."""
    labels: Annotated[dict[str, LabelValue], Field(max_length=64)] = {}
    """Labels to put on the Secret, next to the operator's own."""
    annotations: Annotated[dict[str, str], Field(max_length=64)] = {}
    """Annotations to put on the Secret. Labels and annotations that whoever runs the operator has denied, by default
    those of tools that mirror Secrets to other namespaces, are left out; the condition SecretMetadataDenied then names
    them."""


class ScimWebhookSpec(ApiModel):
    """What you want: whose changes, and where they are sent."""

    tenant: Annotated[DnsName, StringConstraints(max_length=NAME_LIMIT)]
    """Whose changes are sent: spec.tenant of a ScimToken of this namespace, or that ScimToken's name where it has no
    spec.tenant. Cannot be changed later: create another ScimWebhook instead."""
    url: Annotated[str, StringConstraints(pattern=URL_PATTERN, max_length=2048)]
    """Where changes are posted to, such as https://app.example.com/scim-events: without a user and without a fragment. http
    and addresses that are not on the internet work only where whoever runs the SCIM API allows them. What waits when
    it is changed goes to the new one."""
    types: Annotated[tuple[ChangeType, ...], Field(max_length=len(get_args(ChangeType)))] = ()
    """Which changes: user.created, user.updated, user.activated, user.deactivated, user.deleted, group.created,
    group.updated, group.deleted, group.member_added, group.member_removed. Default: all, those of later releases
    among them."""
    content: Content = "Thin"
    """What a message holds. Thin (default): the change alone, with the id of the user or group. Full: the user or group
    too, as it is when the message is sent, so that the receiver needs no token to read it."""
    timeout: Duration = "15s"
    """How long one attempt may take before it counts as failed and is repeated later, from 1s to 60s. Default: 15s."""
    suspend: bool = False
    """Send nothing. Changes wait, and are lost when the log of changes no longer goes back to them. Taken back, what
    failed is tried at once, also after the receiver has answered 410."""
    rotate_after: Annotated[str, StringConstraints(pattern=ROTATE_AFTER_PATTERN, max_length=10)] = "90d"
    """How long after it was made the signing secret is replaced: a number and s, m, h or d, from 60s to 3650d, or
    never. Default: 90d. The annotation scim-operator.io/rotate replaces it at once."""
    overlap: Duration = "7d"
    """How long messages are signed with a replaced secret too, so that the receiver refuses nothing until it has the new
    one: a number and s, m, h or d, from 60s to rotateAfter. Default: 7d."""
    secret: WebhookSecretTemplate = WebhookSecretTemplate()
    """The Secret that receives signing-secret, which the receiver verifies messages with."""


class ScimWebhook(CustomObject):
    """Sends an application what changes in a tenant's users and groups, signed by Standard Webhooks: applied, it
    yields a Secret with what to verify messages with, which is replaced in time.
    """

    kind: ClassVar[str] = KIND
    plural: ClassVar[str] = PLURAL
    secret_label: ClassVar[str] = WEBHOOK_LABEL
    kept_annotation: ClassVar[str] = ANSWERED_ROTATE_ANNOTATION

    spec: ScimWebhookSpec | None
    """None when this version does not understand it; ``not_understood`` says why."""
    status: ScimWebhookStatus = ScimWebhookStatus()
    not_understood: tuple[str, ...] = ()
    """The fields of spec with a value that this version does not know, each with what it takes there."""
    denied_keys: Annotated[tuple[str, ...], Field(exclude=True)] = ()
    """Keys of labels and annotations that ``denying`` has taken out of ``spec.secret``; not part of the object."""

    @field_validator("status", mode="wrap")
    @classmethod
    def _readable_part(cls, value: object, read: ValidatorFunctionWrapHandler) -> ScimWebhookStatus:
        return readable_part(ScimWebhookStatus, value, read)

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> Self:
        """Read what the API server sent, ignoring fields that this version does not know. A value in spec that it
        does not know, which a newer CRD takes, makes ``spec`` None.
        """
        spec: ScimWebhookSpec | None = None
        problems: tuple[str, ...] = ()
        try:
            spec = ScimWebhookSpec.model_validate(body.get("spec") or {})
        except ValidationError as error:
            problems = unknown_values.fields(error)
        return cls.model_validate({**body, "spec": spec, "notUnderstood": problems})

    @property
    def secret_name(self) -> str:
        """The name of the Secret in effect; while spec is not understood, the one that status tells."""
        named = self.status.secret_name if self.spec is None else self.spec.secret.name
        return named or f"{self.metadata.name}{NAME_SUFFIX}"

    @property
    def rotate_request(self) -> str | None:
        """The value of the annotation that asks for a rotation."""
        return _request(self.metadata.annotations.get(ROTATE_ANNOTATION))

    @property
    def test_request(self) -> str | None:
        """The value of the annotation that asks for a ping."""
        return _request(self.metadata.annotations.get(TEST_ANNOTATION))

    @property
    def redeliver_request(self) -> str | None:
        """The value of the annotation that asks for a redelivery."""
        return _request(self.metadata.annotations.get(REDELIVER_FROM_ANNOTATION))

    def denying(self, domains: Collection[str]) -> Self:
        """The same without the labels and annotations of its Secret that are denied; ``denied_keys`` names them.

        Args:
            domains: see ``denied_metadata.is_denied``.
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
        wanted = {} if self.spec is None else self.spec.secret.labels
        return {**wanted, **self.owned_labels()}

    def secret_annotations(self) -> dict[str, str]:
        """Annotations that the spec wants on its Secret; ours are not the spec's to set."""
        wanted = {} if self.spec is None else self.spec.secret.annotations
        return {name: wanted[name] for name in wanted if name != ANSWERED_ROTATE_ANNOTATION}


def rotation_period(spec: ScimWebhookSpec) -> timedelta | None:
    """After which a signing secret is replaced; None: never."""
    return None if spec.rotate_after == NEVER else parse_duration(spec.rotate_after)


def _request(value: str | None) -> str | None:
    """As much of it as is remembered as carried out; empty is nothing."""
    return (value or "")[:REQUEST_LIMIT] or None
