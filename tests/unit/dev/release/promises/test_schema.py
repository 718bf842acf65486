"""What counts as a schema that takes or has less than before."""

from typing import Any

import pytest

from release.promises.schema import Comparison

Schema = dict[str, Any]


def _broken(old: Schema, new: Schema, document: Schema | None = None) -> list[str]:
    found = Comparison(document or {}, document or {}).broken(old, new, "spec")
    return [str(one) for one in found]


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


STRING: Schema = {"type": "string"}
NUMBER_OR_NULL: Schema = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (_object(a=STRING), _object(), "spec.a: is gone"),
        (_object(a=STRING), _object(("a",), a=STRING), "spec.a: has to be given now"),
        (_object(), _object(("a",), a=STRING), "spec.a: has to be given now"),
        (STRING, {"type": "integer"}, "spec: was string and is integer now"),
        ({"type": ["string", "null"]}, STRING, "spec: was null, string and is string now"),
        ({}, STRING, "spec: was anything and is string now"),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "spec: 'b' is no value any more"),
        (STRING, {"type": "string", "enum": ["a"]}, "spec: takes only 'a' now"),
        ({"const": "a"}, {"const": "b"}, "spec: 'a' is no value any more"),
        ({"maxLength": 9}, {"maxLength": 8}, "spec: maxLength is 8 now and was 9"),
        ({}, {"minimum": 1}, "spec: minimum is 1 now and was not set"),
        ({"minItems": 1}, {"minItems": 2}, "spec: minItems is 2 now and was 1"),
        ({"pattern": "a"}, {"pattern": "b"}, "spec: pattern is 'b' now and was 'a'"),
        ({}, {"format": "uri"}, "spec: format is 'uri' now and was 'not set'"),
        ({"default": 1}, {"default": 2}, "spec: default was 1 and is 2 now"),
        ({"default": 1}, {}, "spec: default was 1 and is 'not set' now"),
        ({"nullable": True}, {}, "spec: nullable is gone"),
        ({}, {"additionalProperties": False}, "spec: takes no other members any more"),
        (
            {"additionalProperties": STRING},
            {"additionalProperties": {"type": "integer"}},
            "spec.*: was string",
        ),
        ({"items": STRING}, {"items": {"type": "integer"}}, "spec[]: was string and is integer now"),
        ({}, {"x-kubernetes-validations": [{"rule": "self > 1"}]}, "spec: has a new rule: self > 1"),
        (NUMBER_OR_NULL, {"type": "integer"}, "spec: was null and is integer now"),
        (
            {"oneOf": [_object(("a",), a=STRING), _object(("b",), b=STRING)]},
            {"oneOf": [_object(("a",), a=STRING)]},
            "spec.a: has to be given now",
        ),
    ],
)
def test_less_than_before_is_broken(old: Schema, new: Schema, told: str) -> None:
    found = _broken(old, new)
    assert found
    assert found[0].startswith(told)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (_object(a=STRING), _object(a=STRING, b=STRING)),
        (_object(("a",), a=STRING), _object(a=STRING)),
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "integer"}, NUMBER_OR_NULL),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"const": "a"}, {"enum": ["b", "a"]}),
        ({"maxLength": 9, "minimum": 3}, {"maxLength": 10, "minimum": 2}),
        ({"maxLength": 9, "pattern": "a"}, {}),
        ({"additionalProperties": False}, {}),
        ({"additionalProperties": STRING}, {}),
        (NUMBER_OR_NULL, {"anyOf": [{"type": "null"}, {"type": "number"}, STRING]}),
        ({"x-kubernetes-validations": [{"rule": "self > 1", "message": "m"}]}, {}),
        (
            {"x-kubernetes-validations": [{"rule": "self > 1", "message": "m"}]},
            {"x-kubernetes-validations": [{"rule": "self > 1", "message": "n"}]},
        ),
        ({"description": "a", "title": "b"}, {"description": "c"}),
    ],
)
def test_more_than_before_is_kept(old: Schema, new: Schema) -> None:
    assert _broken(old, new) == []


def test_references_are_followed_and_may_lead_back_to_themselves() -> None:
    def document(**more: Schema) -> Schema:
        node = _object(child={"$ref": "#/schemas/Node"})
        node["properties"] |= more
        return {"schemas": {"Node": node}}

    reference = {"$ref": "#/schemas/Node"}
    old, new = document(name=STRING), document()
    assert [str(one) for one in Comparison(old, new).broken(reference, reference, "node")] == [
        "node.name: is gone"
    ]
    assert list(Comparison(old, old).broken(reference, reference, "node")) == []


def test_a_reference_among_choices_is_followed() -> None:
    old = {"schemas": {"A": _object(a=STRING)}}
    new = {"schemas": {"A": _object()}}
    choice = {"anyOf": [{"$ref": "#/schemas/A"}, {"type": "null"}], "description": "one of them"}
    assert [str(one) for one in Comparison(old, new).broken(choice, choice, "s")] == ["s.a: is gone"]
