"""All tokens: what needs attention, then the life of each credential."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from scim_console.model import Problem, Token
from scim_console.rendering import Part, Shared, attempt

router = APIRouter()


@router.get("/")
def page(console: Shared, q: str = "") -> HTMLResponse:
    """The page, with what is remembered; its script asks for the rest."""
    known = console.memory.last_tokens()
    found = Part(known)
    return console.page(
        "tokens.html", section="tokens", q=q, is_known=known is not None, **_context(found, q)
    )


@router.get("/parts/tokens")
def part(console: Shared, q: str = "") -> HTMLResponse:
    """What changes."""
    return console.page("parts/tokens.html", q=q, **_context(attempt(console.memory.tokens), q))


def _context(found: Part[Sequence[Token]], q: str) -> dict[str, Any]:
    everything = found.value or ()
    shown = sorted((one for one in everything if _matches(one, q)), key=_rank)
    problems: list[tuple[Token, Problem]] = [(one, problem) for one in shown for problem in one.problems]
    problems.sort(key=lambda pair: pair[1].severity != "error")
    return {
        "trouble": found.trouble,
        "tokens": shown,
        "problems": problems,
        "is_empty": found.trouble is None and not everything,
    }


def _matches(token: Token, q: str) -> bool:
    """Whether every word of a search is somewhere in what names it."""
    about = [
        token.namespace,
        token.name,
        token.tenant,
        token.auth_type,
        *(one.id for one in token.credentials),
    ]
    text = " ".join(about).casefold()
    return all(word in text for word in q.casefold().split())


def _rank(token: Token) -> tuple[int, str, str]:
    """What is wrong stands first."""
    severities = [one.severity for one in token.problems]
    worst = 0 if "error" in severities else 1 if severities else 2
    return worst, token.namespace, token.name
