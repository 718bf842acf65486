"""What ``spec.access`` asks of the rest of ``spec``, as rules of the CRD."""

from collections.abc import Mapping
from typing import Any, Final

from scim_api.contract.admin import TenantSettings

Rule = dict[str, Any]

_IS_READ_ONLY: Final = "(has(self.access) && self.access == 'ReadOnly')"
_DEFAULTS: Final[Mapping[str, object]] = TenantSettings().model_dump(mode="json", by_alias=True)

IMMUTABLE: Final[list[Rule]] = [
    {
        "rule": "self == oldSelf",
        "message": "access cannot be changed: who has the token was given it for this; create another ScimToken with the"
        " same tenant instead",
        "reason": "FieldValueForbidden",
    }
]


def _is_default(field: str, default: object) -> str:
    """CEL: the field was left out. The API server has filled in the default before it checks."""
    match default:
        case dict():
            inner = " && ".join(_is_default(f"{field}.{name}", value) for name, value in default.items())
            return f"(!has(self.{field}) || ({inner}))"
        case list():
            return f"(!has(self.{field}) || size(self.{field}) == 0)"
        case int():
            return f"(!has(self.{field}) || self.{field} == {default})"
        case _:
            return f"(!has(self.{field}) || self.{field} == '{default}')"


LEFT_OUT_WITH_READ_ONLY: Final[list[Rule]] = [
    *(
        {
            "rule": f"!{_IS_READ_ONLY} || {_is_default(field, default)}",
            "message": f"with access: ReadOnly leave {field} out: the tenant's holds; write it into the ScimToken of the same"
            " tenant with access: ReadWrite",
            "fieldPath": f".{field}",
        }
        for field, default in _DEFAULTS.items()
    ),
    {
        "rule": f"!{_IS_READ_ONLY} || !has(self.entra)",
        "message": "with access: ReadOnly leave entra out: Entra provisions, so it needs a ScimToken with access: ReadWrite",
        "fieldPath": ".entra",
    },
]
"""Rules on ``spec``."""
