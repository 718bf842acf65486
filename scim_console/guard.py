"""What stands before every page: whoever isn't the browser that was given the key learns nothing, not even which paths exist."""

from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scim_console.access import PATH, Access

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address with the key is never sent on.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""
CSRF: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ITSELF: Final = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of the console's own pages, and of what a person typed. ``same-site`` is another port."""
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title></head>'
    "<body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
)


class Guard:
    """Lets through what is asked by the console's own pages, in the browser that opened them.

    Args:
        app: the pages.
        access: what a request has to bring.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._answer(scope, Headers(scope=scope))
        await (answer or self._app)(scope, receive, sealed)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """What is said instead of the page; None: the page may answer."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._access.hosts:
            return _refusal(
                "Wrong address", "The console answers to the address that it printed, and to no other name."
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin not in {None, f"http://{hosts[0].lower()}"} or site not in {None, *_ITSELF}:
            return _refusal(
                "Not from here",
                "Another page asked for this. To open the console, type its address into the address bar.",
            )
        if scope["path"] == PATH and scope["method"] == "GET" and "sec-purpose" not in headers:
            return self._opened(QueryParams(scope["query_string"]).get("key", ""))
        if not self._access.is_session(_cookie(headers, self._access.cookie)):
            return _refusal(
                "Not open in this browser",
                "Use the browser that opened the console, or start it again and open the address that it prints.",
            )
        if scope["method"] not in _SAFE and not self._access.is_csrf(headers.get(CSRF)):
            return _refusal(
                "Not from a page of the console", "Reload the page that you came from, and try again."
            )
        return None

    def _opened(self, key: str) -> Response:
        session = self._access.open(key)
        if session is None:
            return _refusal(
                "This link does not work (any more)",
                'It was used already, or is incomplete. Use the browser that opened the console (<a href="/">go on there</a>), '
                "or start the console again and open the new link.",
            )
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._access.cookie, session, httponly=True, samesite="strict", path="/")
        return answer


def _refusal(title: str, text: str) -> Response:
    return HTMLResponse(_PAGE.format(title=title, text=text), 403)


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value
