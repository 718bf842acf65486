"""One token: its way to Entra, what to paste where, its credentials, and what happened."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from scim_console.model import Token
from scim_console.rendering import NOWHERE, Part, Shared, attempt
from scim_console.stages import entra_facts, kind_of, stages

router = APIRouter()


def _namespace(namespace: str) -> str:
    return "" if namespace == NOWHERE else namespace


Namespace = Annotated[str, Depends(_namespace)]


@router.get("/tokens/{namespace}/{name}")
def page(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """The page, with what is remembered; its script asks for the rest."""
    known = console.memory.last_token(namespace, name)
    found = Part(known) if known is not None else attempt(lambda: console.memory.token(namespace, name))
    status = 404 if found.trouble is not None and found.trouble.title == "Not found" else 200
    return console.page(
        "token.html", status, section="tokens", namespace=namespace, name=name, **_context(found)
    )


@router.get("/parts/head/{namespace}/{name}")
def head(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """What needs attention, and how far it has come."""
    return console.page(
        "parts/token_head.html", **_context(attempt(lambda: console.memory.token(namespace, name)))
    )


@router.get("/parts/state/{namespace}/{name}")
def state(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """Credentials, Entra and conditions."""
    return console.page(
        "parts/token_state.html", **_context(attempt(lambda: console.memory.token(namespace, name)))
    )


@router.get("/parts/events/{namespace}/{name}")
def events(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """What Kubernetes remembers: slow, and nobody waits for it."""
    found = attempt(lambda: console.source.events(namespace, name))
    return console.page("parts/events.html", events=found.value or (), trouble=found.trouble)


@router.get("/parts/form/{namespace}/{name}")
def form(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """What to paste where, with all that is read from the Secret hidden: it isn't read for this."""
    found = attempt(lambda: console.memory.token(namespace, name))
    return console.page("parts/form.html", token=found.value, trouble=found.trouble)


@router.post("/parts/form/{namespace}/{name}")
def filled_form(console: Shared, namespace: Namespace, name: str) -> HTMLResponse:
    """The same, shown."""
    found = attempt(lambda: console.memory.token(namespace, name))
    fields = attempt(lambda: console.source.fields(namespace, name))
    return console.page(
        "parts/form.html", token=found.value, fields=fields.value, trouble=fields.trouble or found.trouble
    )


def _context(found: Part[Token]) -> dict[str, Any]:
    token = found.value
    return {
        "token": token,
        "trouble": found.trouble,
        "stages": stages(token) if token is not None else (),
        "conditions": [(kind_of(one), one) for one in token.conditions] if token is not None else (),
        "entra": entra_facts(token.entra) if token is not None else (),
    }
