"""Small types that every floor of the core uses."""

from typing import Any, Literal

ResourceKind = Literal["User", "Group"]


Json = Any
"""A JSON value as Python has it."""


AttributeType = Literal[
    "string", "boolean", "integer", "decimal", "dateTime", "reference", "binary", "complex", "any"
]


Mutability = Literal["readWrite", "readOnly", "writeOnly", "immutable"]


Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]


Operand = str | int | float | bool | None


Column = Literal["id", "created", "modified", "kind"]

Equalities = tuple[tuple[str, Operand], ...]
"""Sub-attributes and values that brackets ask for, all of them."""
