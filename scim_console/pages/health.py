"""What ``doctor`` checks, each line when it is done."""

from collections import Counter
from collections.abc import AsyncGenerator

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import StreamingResponse

from scim_console.live import event, stream
from scim_console.model import Check
from scim_console.rendering import Console, Shared, trouble_of

router = APIRouter()


@router.get("/health")
def page(console: Shared) -> HTMLResponse:
    """The page; its script asks for the checks."""
    return console.page("health.html", section="health")


@router.get("/health/checks")
async def checks(console: Shared) -> StreamingResponse:
    """An ``item`` for each check, then ``end`` with how many came out how."""
    return stream(_events(console))


async def _events(console: Console) -> AsyncGenerator[str, None]:
    outcomes: Counter[str] = Counter()
    try:
        async for check in console.streams.items(lambda _stop: console.source.checks()):
            outcomes[check.outcome] += 1
            yield event("item", console.render("parts/check.html", check=check))
    except Exception as error:  # noqa: BLE001 (the last line says why there are no more)
        trouble = trouble_of(error)
        outcomes["not checkable"] += 1
        last = Check(trouble.title, "not checkable", trouble.message, None)
        yield event("item", console.render("parts/check.html", check=last))
    summary = ", ".join(
        f"{outcomes[one]} {one}" for one in ("passed", "failed", "not checkable") if outcomes[one]
    )
    yield event("end", summary or "nothing was checked")
