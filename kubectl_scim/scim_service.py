"""The SCIM service's public port for people who look: users, groups, and what happened to them.

A ``scim_console.model.Directory``. Each request names this plugin as its User-Agent, by which the service keeps what people
read apart from Entra's use of a credential.
"""

import dataclasses
import importlib.metadata
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from kubectl_scim.credential import Credential
from kubectl_scim.scimtoken import pods_command
from kubectl_scim.tls import without_strict_profile
from scim_console.model import Denied, HistoryPage, HistoryQuery, Missing, ResourcePage, Unreachable

VERSION: Final = importlib.metadata.version("scim-operator")
USER_AGENT: Final = f"kubectl-scim/{VERSION}"
SCIM: Final = "/scim/v2"
CHANGES: Final = "/changes/v1"
HISTORY: Final = f"{CHANGES}/history"
TOKEN: Final = "/oauth2/token"  # noqa: S105 (a path)
NOW: Final = "now"
"""In the place of a cursor: after everything that has happened."""
_SECONDS: Final = 15.0
_LONG_POLL: Final = 10
"""Seconds that a request for changes waits: so long may it take until a stop is seen."""
_PATIENCE: Final = 60.0
"""Seconds, together, that a request waits because the service says so (429)."""
_AGAIN: Final = 6
"""How often in a row the feed is asked in vain, a little later each time."""
Sleep = Callable[[float], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    """From JSON; None where there is none."""

    @property
    def detail(self) -> str:
        """What a SCIM error says of itself."""
        said = self.body.get("detail") if isinstance(self.body, dict) else None
        return str(said) if said else f"{self.status} without an explanation"

    @property
    def scim_type(self) -> str | None:
        """``scimType`` of a SCIM error."""
        found = self.body.get("scimType") if isinstance(self.body, dict) else None
        return found if isinstance(found, str) else None


class Connection:
    """Requests with a credential; one that was rotated meanwhile is read again.

    Args:
        root: where the service is now, such as ``http://127.0.0.1:41234``, without ``/scim/v2``; may raise.
        credential: read from a Secret, when there is none yet and after a 401.
        agent: User-Agent.
        over_network: whether the machine's proxies and certificates (``SSL_CERT_FILE``) hold.
        transport: stands in for the network in tests.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        root: Callable[[], str],
        credential: Callable[[], Credential],
        *,
        agent: str = USER_AGENT,
        over_network: bool = False,
        transport: httpx.BaseTransport | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._root, self._read, self._sleep = root, credential, sleep
        self._credential: Credential | None = None
        self._bearer: str | None = None
        # A port of this machine has no TLS: no authority is read, and none is trusted.
        trust = (
            without_strict_profile(httpx.create_ssl_context())
            if over_network
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        self._http = httpx.Client(
            headers={"user-agent": agent},
            timeout=_SECONDS,
            verify=trust,
            trust_env=over_network,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        seconds: float = _SECONDS,
    ) -> Answer:
        """One request; once more with the Secret's present credential when it was refused, and after a 429 when it may.

        Args:
            method: of HTTP.
            path: from the root, such as ``/scim/v2/Users``.
            query: parameters.
            body: sent as SCIM's JSON.
            seconds: until there has to be an answer.

        Raises:
            Denied: the credential is not accepted.
            Unreachable: there is no answer, or none that is of use.
            KubectlError: of ``root`` and ``credential``.
        """
        waited, is_renewed = 0.0, False
        headers = {"accept": "application/scim+json, application/json"}
        if body is not None:
            headers["content-type"] = "application/scim+json"
        while True:
            response = self._exchange(
                method, path, seconds, params=query, json=body, headers={**headers, **self._authorization()}
            )
            if response.status_code == httpx.codes.UNAUTHORIZED:
                if is_renewed:
                    raise self._refused()
                is_renewed, self._credential, self._bearer = True, None, None
            elif response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                pause = _retry_after(response)
                waited += pause
                if waited > _PATIENCE:
                    raise Unreachable(
                        f"the SCIM API has been asking to wait for {_PATIENCE:g} s (429): spec.rateLimit of the tenant's "
                        "ScimToken is used up by others"
                    )
                self._sleep(pause)
            elif response.is_server_error:
                raise Unreachable(f"the SCIM API answers {_answer(response).detail}")
            else:
                return _answer(response)

    def _authorization(self) -> Mapping[str, str]:
        if self._credential is None:
            self._credential = self._read()
        if self._bearer is None:
            self._bearer = self._credential.token or self._access_token(self._credential)
        return {"authorization": f"Bearer {self._bearer}"}

    def _access_token(self, credential: Credential) -> str:
        response = self._exchange(
            "POST", TOKEN, _SECONDS,
            data={"grant_type": "client_credentials"},
            auth=(credential.client_id or "", credential.client_secret or ""),
        )  # fmt: skip
        found = _answer(response).body
        if response.is_success and isinstance(found, dict) and isinstance(found.get("access_token"), str):
            return str(found["access_token"])
        if response.status_code in {400, 401}:
            raise self._refused()
        raise Unreachable(f"the token endpoint answers {response.status_code}")

    def _refused(self) -> Denied:
        credential, self._credential, self._bearer = self._credential, None, None
        if credential is None:
            return Denied("the SCIM API does not accept the credential")
        return Denied(
            f"the SCIM API does not accept what Secret {credential.secret_name} of {credential.origin} has: "
            f"kubectl scim status {credential.name} -n {credential.namespace} says why, and "
            f"kubectl scim rotate {credential.name} -n {credential.namespace} makes another"
        )

    def _exchange(self, method: str, path: str, seconds: float, **more: Any) -> httpx.Response:
        """Send it; a second time when nobody has taken it, or when it changes nothing."""
        for attempt in (1, 2):
            url = self._root() + path
            try:
                return self._http.request(method, url, timeout=seconds, **more)
            except httpx.TransportError as error:
                is_harmless = method == "GET" or isinstance(error, httpx.ConnectError)
                if attempt == 2 or not is_harmless:
                    raise Unreachable(_told(url, error)) from None
        raise AssertionError("unreachable")  # pragma: no cover


class ScimService:
    """The people of one tenant.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def users(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Users whom a SCIM filter matches, by userName; in the order of their creation where they are too many for that.

        Raises:
            ValueError: the filter is none; the message says why.
            Denied, Unreachable, KubectlError: as ``Connection.send``.
        """
        return self._listed("/Users", filter, start_index, count, {"sortBy": "userName"})

    def groups(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Groups without their members, by displayName, likewise."""
        page = {"sortBy": "displayName", "excludedAttributes": "members"}
        return self._listed("/Groups", filter, start_index, count, page)

    def user(self, id: str) -> Mapping[str, Any]:
        """One user. Raises ``Missing``."""
        return self._one(f"/Users/{quote(id, safe='')}")

    def group(self, id: str) -> Mapping[str, Any]:
        """One group with its members. Raises ``Missing``."""
        return self._one(f"/Groups/{quote(id, safe='')}")

    def history(self, query: HistoryQuery) -> HistoryPage:
        """What happened, the newest first; a page may be short, or empty, although ``next`` leads to older ones.

        Raises:
            ValueError: it asks for what there is not, such as a type; the message says what there is.
            Denied, Unreachable, KubectlError: as ``Connection.send``.
        """
        named = {
            "resourceId": query.about,
            "externalId": query.external_id,
            "credential": query.credential,
            "types": ",".join(sorted(query.types)),
            "since": query.since.isoformat() if query.since is not None else None,
            "until": query.until.isoformat() if query.until is not None else None,
            "after": query.after,
            "limit": str(query.limit),
        }
        answer = self._connection.send("GET", HISTORY, {key: value for key, value in named.items() if value})
        if answer.status == httpx.codes.NOT_FOUND:
            raise Unreachable(
                f"there is no {HISTORY} there. The endpoint that Entra asks does not lead to it: that takes a port-forward, so "
                "create on pods/portforward in the installation's namespace; or the SCIM API is of an earlier release"
            )
        found = _successful(answer)
        return HistoryPage(found.get("changes") or [], found.get("next"))

    def head(self) -> str:
        """The cursor of the feed after everything that has happened. Raises as ``history``."""
        return str(_successful(self._connection.send("GET", CHANGES, {"after": NOW}))["next"])

    def follow(
        self, stop: threading.Event, types: frozenset[str] = frozenset(), after: str | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Changes from this call on, each when it is there, until ``stop`` is set, which is seen within ten seconds.

        An answer that fails to come is asked for again, from where the last one ended: nothing is left out.

        Args:
            stop: ends it, from any thread.
            types: only these; empty: all.
            after: a cursor of ``head``; None: what comes from now on.

        Raises:
            ValueError: a type that there is not.
            Denied, Unreachable, KubectlError: as ``Connection.send``, after several attempts where it may pass.
        """
        if after is None:
            try:
                after = self.head()
            except Unreachable:
                after = NOW  # asked for again
        return self._follow(stop, types, after)

    def _follow(
        self, stop: threading.Event, types: frozenset[str], after: str
    ) -> Iterator[Mapping[str, Any]]:
        query, failures = {"after": after, "wait": str(_LONG_POLL)}, 0
        if types:
            query["types"] = ",".join(sorted(types))
        while not stop.is_set():
            try:
                found = _successful(
                    self._connection.send("GET", CHANGES, query, seconds=_LONG_POLL + _SECONDS)
                )
            except Unreachable:
                failures += 1
                if failures >= _AGAIN:
                    raise
                stop.wait(0.5 * 2**failures)
                continue
            failures = 0
            yield from found.get("changes") or ()
            query["after"] = str(found["next"])

    def _listed(
        self, path: str, filter: str | None, start_index: int, count: int, more: Mapping[str, str]
    ) -> ResourcePage:
        query = {"startIndex": str(start_index), "count": str(count), **more}
        if filter:
            query["filter"] = filter
        answer = self._connection.send("GET", SCIM + path, query)
        if answer.scim_type == "tooMany":  # sorting reads all of them
            del query["sortBy"]
            answer = self._connection.send("GET", SCIM + path, query)
        found = _successful(answer)
        return ResourcePage(int(found.get("totalResults") or 0), found.get("Resources") or [])

    def _one(self, path: str) -> Mapping[str, Any]:
        answer = self._connection.send("GET", SCIM + path)
        if answer.status == httpx.codes.NOT_FOUND:
            raise Missing(answer.detail)
        return _successful(answer)


def _successful(answer: Answer) -> Mapping[str, Any]:
    """The object of an answer. Raises ``ValueError`` (400), ``Denied`` (403) and ``Unreachable``."""
    if answer.status == httpx.codes.BAD_REQUEST:
        raise ValueError(answer.detail)
    if answer.status == httpx.codes.FORBIDDEN:
        raise Denied(answer.detail)
    if answer.status == httpx.codes.GONE:
        raise Unreachable(
            f"the log of changes goes on elsewhere, as after a restore; begin again ({answer.detail})"
        )
    if answer.status != httpx.codes.OK or not isinstance(answer.body, dict):
        raise Unreachable(f"what answers is not the SCIM API: {answer.detail}")
    return answer.body


def _answer(response: httpx.Response) -> Answer:
    try:
        return Answer(response.status_code, response.json() if response.content else None)
    except ValueError:
        return Answer(response.status_code, None)


def _retry_after(response: httpx.Response) -> float:
    """Seconds; a date is not taken, which the service does not send."""
    said = response.headers.get("retry-after", "")
    return max(float(said), 0.1) if said.isascii() and said.isdigit() else 1.0


def _told(url: str, error: httpx.TransportError) -> str:
    host = httpx.URL(url).netloc.decode("ascii", "replace")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"the certificate of {host} is not trusted here ({error}); SSL_CERT_FILE names a file with its authority"
    said = str(error) or type(error).__name__
    return f"{host} does not answer ({said}): {pods_command('api')}"
