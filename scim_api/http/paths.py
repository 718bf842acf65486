"""Paths in the RFC's spelling, whatever a client writes."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from scim_api.contract.oauth import SCIM_PATH as SCIM_PATH  # noqa: PLC0414  (re-exported: it is one of the paths)

CHANGES_PATH: Final = "/changes/v1"
HISTORY_PATH: Final = "/changes/v1/history"

_CANONICAL: Final = {
    name.lower(): name
    for name in (
        "scim",
        "v2",
        "Users",
        "Groups",
        "Schemas",
        "ResourceTypes",
        "ServiceProviderConfig",
        "Me",
        "Bulk",
        ".search",
    )
}


def canonical_path(path: str) -> str:
    """The path in the RFC's spelling: Entra and its administrators vary case, and add or double slashes."""
    segments = [segment for segment in path.split("/") if segment]
    return "/" + "/".join(
        _CANONICAL.get(segment.lower(), segment) if position < 3 or segment.lower() == ".search" else segment
        for position, segment in enumerate(segments)
    )


class PathNormaliser:
    """Brings paths into the RFC's spelling before they are routed; never a redirect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a canonical path."""
        if scope["type"] == "http":
            path = canonical_path(scope["path"])
            if path != scope["path"]:
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
