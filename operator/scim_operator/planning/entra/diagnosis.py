"""From what came back of Microsoft's login or Graph to an error that people can act on."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from scim_operator.planning.entra import graph_errors, sign_in_errors
from scim_operator.planning.entra.answers import parsed
from scim_operator.planning.entra.error_text import clean_request_id, quoted, read_error
from scim_operator.planning.entra.ports import EntraError, Obstacle
from scim_operator.planning.entra.requests import GraphRequest
from scim_operator.planning.entra.sign_in_errors import Caller

Service = Literal["the login", "Graph"]

LONGEST_RETRY_AFTER: Final = timedelta(hours=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read within bounds."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes = dataclasses.field(repr=False)


def request_id_of(answer: Answer) -> str | None:
    """Microsoft's id of the request, for its support."""
    named = (answer.headers.get(name) for name in ("request-id", "x-ms-request-id"))
    found = next((clean for value in named if (clean := clean_request_id(value)) is not None), None)
    return found or read_error(answer.body).request_id


def retry_after_of(answer: Answer, now: datetime) -> timedelta | None:
    """When to come again, by ``Retry-After`` (RFC 9110 section 10.2.3), an hour at most; None when it does not say."""
    value = answer.headers.get("retry-after", "").strip()
    try:
        if re.fullmatch(r"[0-9]{1,9}", value):
            wait = timedelta(seconds=int(value))
        else:
            moment = parsedate_to_datetime(value)
            wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def no_answer(host: str, reason: str) -> EntraError:
    """Nobody answered.

    Args:
        host: who was asked.
        reason: why, in words that have nothing of the request in them.
    """
    return EntraError(Obstacle.UNREACHABLE, f"{host} does not answer: {reason}")


def not_an_answer(host: str, what: Service, answer: Answer) -> EntraError:
    """It answered with success, and not as Microsoft does."""
    return EntraError(
        Obstacle.UNREACHABLE,
        f"{host} answered {answer.status} and not as {what} does; a proxy in between may have answered, or "
        f"{_setting(what)} leads elsewhere",
        request_id=request_id_of(answer),
    )


def of_login(answer: Answer, caller: Caller, now: datetime, confidential: Iterable[str] = ()) -> EntraError:
    """Why the login gave no access token.

    Args:
        answer: of the token endpoint, not 200.
        caller: who asked.
        now: UTC, for a date in ``Retry-After``.
        confidential: what must not be repeated besides the identity's secret, such as an assertion.
    """
    content = parsed(answer.body)
    fields = content if isinstance(content, dict) else {}
    text = read_error(answer.body)
    words = quoted(text.message, (*caller.confidential, *confidential))
    refusal = sign_in_errors.explain(
        sign_in_errors.codes_in(fields.get("error_codes"), " ".join(text.messages)), caller
    )
    head = f"Microsoft's login answered {answer.status}"
    if refusal is not None:
        obstacle, message = refusal.obstacle, f"{refusal.text}. {head}{_said(words)}"
    elif graph_errors.is_transient(answer.status) or "temporarily_unavailable" in text.codes:
        obstacle, message = Obstacle.UNREACHABLE, f"{head}{_said(words)}; the operator tries again"
    elif not text.codes:
        obstacle = Obstacle.SIGN_IN_REFUSED
        message = f"{head} and not as it should; does {_setting('the login')} name a login of Microsoft's?"
    else:
        obstacle = Obstacle.SIGN_IN_REFUSED
        message = f"{head}{_said(words or text.codes[0])}; see the sign-in logs of the tenant"
    return _error(obstacle, message, answer, now)


def of_graph(
    answer: Answer, request: GraphRequest, caller: Caller, now: datetime, confidential: Iterable[str] = ()
) -> EntraError:
    """Why Graph did not do what it was asked.

    Args:
        answer: of Graph, not 2xx.
        request: what was asked.
        caller: who asked.
        now: UTC, for a date in ``Retry-After``.
        confidential: what must not be repeated besides the identity's secret: the access token, and credentials in
            the request.
    """
    text = read_error(answer.body)
    hidden = (*caller.confidential, *confidential)
    refusal = graph_errors.explain(answer.status, text, request, caller)
    code = f" {quoted(text.codes[-1], hidden)}" if text.codes else ""
    head = f"{graph_errors.ACTIONS[request.call]}: Graph answered {answer.status}{code}"
    message = f"{head}{_said(quoted(text.message, hidden))}. {refusal.remedy}"
    return _error(refusal.obstacle, message, answer, now)


def _said(words: str) -> str:
    return f": {words.removesuffix('.')}" if words else ""


def _setting(what: Service) -> str:
    return "SCIM_OPERATOR_ENTRA_GRAPH_URL" if what == "Graph" else "SCIM_OPERATOR_ENTRA_LOGIN_URL"


def _error(obstacle: Obstacle, message: str, answer: Answer, now: datetime) -> EntraError:
    return EntraError(
        obstacle,
        message,
        retry_after=retry_after_of(answer, now),
        request_id=request_id_of(answer),
    )
