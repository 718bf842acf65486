"""What the operations of the admin API share: their parameters, bodies and refusals."""

from typing import Annotated, Any, Final, TypeVar

from fastapi import Header, Query
from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from scim_api.contract.admin import AdminError, ContractModel

ModelT = TypeVar("ModelT", bound=ContractModel)
Responses = dict[int | str, dict[str, Any]]
"""By status, as FastAPI describes them."""


def _unquoted(value: str) -> str:
    revision = value.strip().strip('"')
    if not revision:
        raise ValueError("no revision")
    return revision


def _without_nul(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise _UNSTORABLE
    return value


_UNSTORABLE: Final = PydanticCustomError("nul", "U+0000 can't be stored; leave it out")
"""No text of PostgreSQL holds it."""
Revision = Annotated[
    str,
    Header(alias="If-Match", description="The revision that the write was decided on, in double quotes."),
    AfterValidator(_unquoted),
]
After = Annotated[str | None, Query(description="`next` of the page before."), AfterValidator(_without_nul)]


def page_limit(most: int) -> BeforeValidator:
    """Refuses whatever is no number of items for a page, in one sentence."""

    def check(value: Any) -> Any:
        digits = value if isinstance(value, str) else str(value)
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and 1 <= int(digits) <= most):
            raise PydanticCustomError("limit", "must be between 1 and {most}", {"most": most})
        return value

    return BeforeValidator(check)


def decoded(model: type[ModelT]) -> BeforeValidator:
    """Reads a body from the bytes that the signature was verified over; its errors name JSON's types."""

    def read(body: bytes) -> ModelT:
        if rb"\u0000" in body:
            raise _UNSTORABLE
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title,
                [
                    {
                        "type": PydanticCustomError(item["type"], item["msg"]),
                        "loc": item["loc"],
                        "input": None,
                    }
                    for item in error.errors(include_url=False, include_input=False)
                ],
            ) from None

    return BeforeValidator(read)


def responses(refusals: Responses) -> Responses:
    """Refusals, each with its body."""
    return {status: {"model": AdminError, **refusal} for status, refusal in refusals.items()}


def with_etag(refusals: Responses) -> Responses:
    """The answer with its revision, and refusals."""
    headers = {"ETag": {"description": "The revision, in double quotes.", "schema": {"type": "string"}}}
    return {200: {"headers": headers}, **responses(refusals)}


def etag(revision: str) -> str:
    """The entity tag of a revision."""
    return f'"{revision}"'


REFUSALS: Final[Responses] = {
    400: {"description": "`Invalid`: a name, parameter or field is wrong, or a write has no If-Match."},
    401: {
        "description": "`Unauthorized`: not signed by this installation's operator, or not for this request."
    },
    413: {"description": "`Invalid`: the body is too large."},
    503: {"description": "`Unavailable`: the database does not answer; nothing was written."},
    "4XX": {"description": "Any other refusal."},
}
"""Of every operation."""
