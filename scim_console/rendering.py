"""Pages from templates, and the parts of them that could not be had."""

import dataclasses
import functools
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import quote

import jinja2
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from scim_console import text
from scim_console.live import Streams, Watch
from scim_console.memory import Memory
from scim_console.model import Denied, Missing, Source, Unreachable
from scim_console.timeline import timeline

T = TypeVar("T")
HERE: Final = Path(__file__).resolve().parent
NOWHERE: Final = "-"
"""In the place of a namespace, where there is none."""
NAVIGATION: Final = (("/", "tokens", "Tokens"), ("/health", "health", "Health"))
"""Address, the page's ``section``, and its name."""
_TITLES: Final[Mapping[type[Exception], str]] = {
    Denied: "Permission missing",
    Missing: "Not found",
    Unreachable: "No answer",
}
_log: Final = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """Why a part of a page is not there."""

    title: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Something that was asked for: what came, or why nothing did."""

    value: T | None
    trouble: Trouble | None = None


def attempt(ask: Callable[[], T]) -> Part[T]:
    """Ask for a part of a page: whatever goes wrong is shown in its place, and the rest of the page stands."""
    try:
        return Part(ask())
    except Exception as error:  # noqa: BLE001 (told on the page)
        return Part(None, trouble_of(error))


def trouble_of(error: Exception) -> Trouble:
    """What an error of a source is for people."""
    for kind, title in _TITLES.items():
        if isinstance(error, kind):
            return Trouble(title, str(error))
    # Without the message, which may have what was read.
    _log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return Trouble(
        "Not readable",
        f"The console does not understand what it read ({type(error).__name__}); the terminal where it runs says where. "
        "Is the installed release of the operator newer than this kubectl scim?",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Console:
    """What all pages share."""

    source: Source
    memory: Memory
    watch: Watch
    streams: Streams
    csrf: str
    now: Callable[[], datetime]
    templates: jinja2.Environment

    def render(self, template: str, **context: Any) -> str:
        """A template with what all of them may use."""
        return self.templates.get_template(template).render(
            now=self.now(),
            csrf=self.csrf,
            noun=self.source.noun,
            place=self.source.place,
            apply=self.source.apply,
            doctor=self.source.doctor,
            navigation=NAVIGATION,
            **context,
        )

    def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A page, or a part of one."""
        return HTMLResponse(self.render(template, **context), status)


@functools.cache
def environment() -> jinja2.Environment:
    """Templates in which every expression is text, unless it is ``Markup``."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=text.plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        absolute=text.absolute, relative=text.relative, stamp=text.stamp, distance=text.distance
    )
    made.globals.update(timeline=timeline, path_of=path_of)
    return made


def path_of(namespace: str, name: str) -> str:
    """The end of an address that is about one token. Without Kubernetes it is in no namespace, and a path needs something there."""
    return f"{quote(namespace or NOWHERE, safe='')}/{quote(name, safe='')}"


def _console(request: Request) -> Console:
    found: Console = request.app.state.console
    return found


Shared = Annotated[Console, Depends(_console)]
"""For the handlers."""
