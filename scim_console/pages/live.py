"""What tells an open page that something changed."""

import json
from collections.abc import AsyncGenerator

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from scim_console.live import event, stream
from scim_console.rendering import Console, Shared

router = APIRouter()


@router.get("/live")
async def live(console: Shared) -> StreamingResponse:
    """``changed`` each time that a token may have; ``state`` when the watch has ended, and why."""
    return stream(_events(console))


async def _events(console: Console) -> AsyncGenerator[str, None]:
    async for state in console.streams.items(console.watch.follow):
        if state.is_live:
            yield event("changed")
        else:
            yield event("state", json.dumps({"message": state.message}))
