"""What the kinds of ``scim-operator.io`` have in common: group and version, metadata, and a Secret of their own."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, NamedTuple

from pydantic import StringConstraints, model_validator

from scim_operator.api.durations import PATTERN
from scim_operator.api.status import ApiModel

GROUP: Final = "scim-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "scim-operator"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "scim-operator"
ROTATE_ANNOTATION: Final = f"{GROUP}/rotate"
"""On a ScimToken or ScimWebhook: any new value rotates once."""
NAME_LIMIT: Final = 63
"""A label's value has at most 63 characters."""


class Key(NamedTuple):
    """Names one object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Duration = Annotated[str, StringConstraints(pattern=PATTERN, max_length=10)]
DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)
]


class Metadata(ApiModel):
    """The part of ``metadata`` that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: str | None = None
    """As it was sent: only whether there is one matters."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Mapping[str, object]) -> Mapping[str, object]:
        return {name: item for name, item in value.items() if item is not None}


class CustomObject(ApiModel):
    """An object of ours that owns a Secret."""

    kind: ClassVar[str]
    plural: ClassVar[str]
    secret_label: ClassVar[str]
    """On its Secret: its name."""
    kept_annotation: ClassVar[str]
    """On its Secret: the annotation that the operator sets apart from those of the spec."""

    metadata: Metadata

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def deleting(self) -> bool:
        """Whether somebody deleted it, and only finalizers keep it."""
        return self.metadata.deletion_timestamp is not None

    def secret_labels(self) -> dict[str, str]:
        """Labels that its Secret is to have."""
        raise NotImplementedError

    def secret_annotations(self) -> dict[str, str]:
        """Annotations that its Secret is to have, but for those that the operator sets apart."""
        raise NotImplementedError

    def owned_labels(self) -> dict[str, str]:
        """Labels by which the operator finds its Secret."""
        return {MANAGED_BY_LABEL: MANAGED_BY, self.secret_label: self.metadata.name}
