"""The CustomResourceDefinitions, generated from the models: ``python -m scim_operator.api.crd DIRECTORY`` writes them.

pydantic's JSON schema becomes a structural schema, and the rules that JSON schema cannot say, or says unreadably,
become CEL rules whose messages tell what to write instead.

Kinds of rules, since a rule that is tightened later must not brick objects that exist: rules on fields and on
``spec`` are ratcheted by the API server (an unchanged value passes); rules on the root are not, and would then
refuse status and finalizer patches too. So the root has transition and creation rules only.

Rules use only what CEL has on the oldest Kubernetes that is supported (1.30): the tests apply them there too.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from scim_operator.api import printer_columns, scimtoken_rules, scimwebhook_rules
from scim_operator.api.crd_rules import KindRules
from scim_operator.api.custom_object import GROUP, VERSION, CustomObject
from scim_operator.api.scimtoken import ScimToken, ScimTokenSpec
from scim_operator.api.scimwebhook import ScimWebhook, ScimWebhookSpec
from scim_operator.api.status import ApiModel, ScimTokenStatus
from scim_operator.api.structural_schema import RULES, JsonSchema, schema_of, walk
from scim_operator.api.webhook_status import ScimWebhookStatus

UNSEEN: Final = -1
"""No generation: ``status.observedGeneration`` before any operator has written it."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind, and what its CustomResourceDefinition is made of."""

    model: type[CustomObject]
    spec: type[ApiModel]
    status: type[ApiModel]
    short_name: str
    columns: Sequence[JsonSchema]
    rules: KindRules

    @property
    def crd_name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.model.plural}.{GROUP}"

    @property
    def file_name(self) -> str:
        """Of the file in ``crds/``."""
        return f"{self.model.kind.lower()}.yaml"


SCIM_TOKEN: Final = Kind(
    model=ScimToken,
    spec=ScimTokenSpec,
    status=ScimTokenStatus,
    short_name="sct",
    columns=printer_columns.SCIM_TOKEN,
    rules=scimtoken_rules.RULES,
)
SCIM_WEBHOOK: Final = Kind(
    model=ScimWebhook,
    spec=ScimWebhookSpec,
    status=ScimWebhookStatus,
    short_name="scw",
    columns=printer_columns.SCIM_WEBHOOK,
    rules=scimwebhook_rules.RULES,
)
KINDS: Final = (SCIM_TOKEN, SCIM_WEBHOOK)


def spec_schema(kind: Kind) -> JsonSchema:
    """``spec``, with its defaults and rules."""
    schema = _schema_of(kind.spec, kind.rules)
    nodes = dict(walk(schema))
    for path, rules in kind.rules.fields.items():
        nodes[path][RULES] = [*nodes[path].get(RULES, []), *rules]
    schema[RULES] = kind.rules.spec
    return schema


def status_schema(kind: Kind) -> JsonSchema:
    """``status``, complete, so that nothing in it is pruned. An object that no operator has seen yet says so in
    the form that kstatus reads: without it, tools that wait for readiness take a fresh object for done.
    """
    return {**_schema_of(kind.status, kind.rules), "default": {"observedGeneration": UNSEEN}}


def _schema_of(model: type[ApiModel], rules: KindRules) -> JsonSchema:
    return schema_of(model, pattern_messages=rules.pattern_messages, list_types=rules.list_types)


def root_schema(kind: Kind) -> JsonSchema:
    """The whole object. ``spec`` may be left out where each of its fields may."""
    spec = spec_schema(kind)
    return {
        "type": "object",
        "description": " ".join((kind.model.__doc__ or "").split()),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status_schema(kind),
        },
        **({"required": ["spec"]} if "required" in spec else {}),
        RULES: kind.rules.root,
    }


def custom_resource_definition(kind: Kind) -> JsonSchema:
    """The object to apply."""
    name = kind.model.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.model.plural,
                "singular": name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["scim"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(kind.columns),
                    "schema": {"openAPIV3Schema": root_schema(kind)},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes rules that several fields share in full each time: an anchor helps no reader of a CRD."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  (the base class gives it)
        return True


def render(kind: Kind) -> str:
    """The file in ``crds/``."""
    models = f"operator/scim_operator/api/{kind.model.kind.lower()}.py"
    header = f"# Generated by `make crd` from {models}; a test fails when it is stale.\n"
    body: Any = yaml.dump(
        custom_resource_definition(kind), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True
    )
    return f"{header}{body}"


def render_all() -> str:
    """The files of all kinds as one."""
    return "---\n".join(render(kind) for kind in KINDS)


def write(directory: Path) -> None:
    """Write the file of each kind."""
    for kind in KINDS:
        (directory / kind.file_name).write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
