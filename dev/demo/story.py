"""The demo's steps, in order. Each prints one line, and raises ``DemoFailed`` when it is not as told."""

import base64
import dataclasses
import datetime as dt
import json
from typing import Any, Final

from demo import hand_over, people, search, sign_in, sign_out
from demo.console import Console, DemoFailed, check, until
from demo.installation import Installation
from demo.rotation import Load, ask
from entra_standin.key_server import KeyServer
from entra_standin.signing_keys import SigningKeys

NAME: Final = "entra"
EXAMPLE: Final = "examples/scimtoken.yaml"
SHORT_LIVED: Final = "short-lived"
SHORT_LIVED_EXAMPLE: Final = "examples/short-lived.yaml"
_READY_SECONDS: Final = 30
_SOON_SECONDS: Final = 15.0
_EXPIRY_SECONDS: Final = 90.0
"""More than a lifetime of the short-lived example."""


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What a Secret holds for Entra."""

    endpoint: str
    token: str = dataclasses.field(repr=False)
    token_id: str
    expires_at: dt.datetime


class Story:
    """Tells the whole story on a started installation.

    Args:
        installation: started.
        console: told each step.
        keys: of the stand-in for Entra, which signs in with them as a workload identity.
        server: publishes them.
        cloud: plays Microsoft's login and Graph.
    """

    def __init__(
        self,
        installation: Installation,
        console: Console,
        keys: SigningKeys,
        server: KeyServer,
        cloud: hand_over.Microsoft,
    ) -> None:
        self._installation, self._console = installation, console
        self._keys, self._key_server, self._cloud = keys, server, cloud
        self._kubectl = installation.kubectl

    def tell(self) -> None:
        """All of it.

        Raises:
            DemoFailed: at the first step that is not as it must be.
        """
        first_short = self._a_token_of_a_minute()
        published = self._from_scimtoken_to_secret()
        self._console.title("Entra provisions users with it")
        people.tell(self._console, published.endpoint, published.token)
        fresh = self._rotation(published)
        self._revocation(published, fresh)
        sign_in.tell(self._console, self._kubectl, NAME, self._keys, self._key_server)
        hand_over.tell(self._console, self._kubectl, self._cloud)
        self._expiry(first_short)
        sign_out.tell(self._console, self._installation, self._cloud)
        self._search()
        self._installation.check_running()

    # -- ScimToken -> Secret ------------------------------------------------------------------------
    def _a_token_of_a_minute(self) -> Published:
        self._console.title("A ScimToken becomes a Secret")
        self._kubectl.step(
            "first one that lives a minute, to see it expire", "apply", "-f", SHORT_LIVED_EXAMPLE
        )
        first = self._ready(SHORT_LIVED)
        check(
            ask(first.endpoint, first.token) == 200, "the short-lived token was not accepted when it was new"
        )
        self._console.step(f"its first token {first.token} works until {first.expires_at:%H:%M:%S} UTC")
        return first

    def _from_scimtoken_to_secret(self) -> Published:
        self._kubectl.step("now the ScimToken that Entra will use", "apply", "-f", EXAMPLE)
        published = self._ready(NAME)
        self._console.step("it is Ready", self._wait_command(NAME))
        self._console.block(self._kubectl.step("what people see", "get", "sct"))
        self._console.step(
            "its Secret holds what Entra is given",
            f"kubectl get secret {NAME}-scim-token -o jsonpath='{{.data}}'",
        )
        self._console.block(
            f"endpoint    {published.endpoint}\ntoken       {published.token}\n"
            f"token-id    {published.token_id}\nexpires-at  {published.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        )
        return published

    def _wait_command(self, name: str) -> str:
        return f"kubectl wait --for=condition=Ready sct/{name} --timeout={_READY_SECONDS}s"

    def _ready(self, name: str) -> Published:
        try:
            self._kubectl(*self._wait_command(name).split()[1:])
        except DemoFailed as error:
            raise DemoFailed(f"{error}\n{self._why_not_ready(name)}") from None
        return self._secret(name)

    def _why_not_ready(self, name: str) -> str:
        status = json.loads(self._kubectl("get", "sct", name, "-o", "json")).get("status", {})
        reasons = [
            f"{item['type']}={item['status']} {item['reason']}: {item['message']}"
            for item in status.get("conditions", [])
        ]
        return "\n".join(reasons) or f"sct/{name} has no status: the operator did not look at it"

    def _secret(self, name: str) -> Published:
        answer: dict[str, Any] = json.loads(
            self._kubectl("get", "secret", f"{name}-scim-token", "-o", "json")
        )
        data = {key: base64.b64decode(value).decode() for key, value in answer["data"].items()}
        return Published(
            data["endpoint"],
            data["token"],
            data["token-id"],
            dt.datetime.fromisoformat(data["expires-at"]),
        )

    # -- rotation, revocation, expiry ---------------------------------------------------------------
    def _rotation(self, old: Published) -> Published:
        self._console.title("The token rotates while requests go on")
        with Load.on(old.endpoint, old.token) as load:
            load.wait_enough(old.token)
            self._kubectl.step(
                f"rotation is asked for, after {load.total} requests",
                "annotate",
                "sct",
                NAME,
                "scim-operator.io/rotate=demo",
            )
            fresh = until("the Secret holds a new token", lambda: self._other_than(old), _SOON_SECONDS)
            self._console.step(f"the Secret holds a new token, {fresh.token} instead of {old.token}")
            load.publish(fresh.token)
            load.wait_enough(old.token, fresh.token)
        self._console.step(
            f"requests sent: {load.total}, rejected: {load.rejected} "
            f"(old token {load.of(old.token)}, new token {load.of(fresh.token)})"
        )
        check(load.rejected == 0, f"rejected during the rotation, by status: {load.refusals()}")
        statuses = ask(old.endpoint, old.token), ask(old.endpoint, fresh.token)
        check(statuses == (200, 200), f"old and new token answer {statuses}, where both must work")
        self._console.step("both tokens work: old 200, new 200")
        return fresh

    def _other_than(self, old: Published) -> Published | None:
        now = self._secret(NAME)
        return now if now.token_id != old.token_id else None

    def _revocation(self, old: Published, fresh: Published) -> None:
        self._console.title("The old token is revoked")
        self._kubectl.step(
            "revocation is asked for by the token's id",
            "annotate",
            "sct",
            NAME,
            f"scim-operator.io/revoke={old.token_id}",
        )
        until("the revoked token is refused", lambda: ask(old.endpoint, old.token) == 401, _SOON_SECONDS)
        status = ask(old.endpoint, fresh.token)
        check(status == 200, f"the token in the Secret answers {status} after the other was revoked")
        self._console.step("the revoked token no longer works: old 401, new 200")
        self._ready(NAME)
        self._console.block(
            self._kubectl.step(
                "its status knows both",
                "get",
                "sct",
                NAME,
                "-o",
                r'jsonpath={range .status.tokens[*]}{.id} {.state}{"\n"}{end}',
            )
        )

    def _expiry(self, first: Published) -> None:
        self._console.title("A token expires")
        left = (first.expires_at - _now()).total_seconds()
        self._console.step(f"the first short-lived token has {max(left, 0):.0f} s left")
        until("the clock passes the token's expiry", lambda: _now() > first.expires_at, _EXPIRY_SECONDS)
        until("the expired token is refused", lambda: ask(first.endpoint, first.token) == 401, _SOON_SECONDS)
        status = ask(first.endpoint, self._secret(SHORT_LIVED).token)
        check(status == 200, f"the short-lived ScimToken's present token answers {status}")
        self._console.step("the expired token is refused: expired 401, the Secret's newer one 200")

    # -- the search ---------------------------------------------------------------------------------
    def _search(self) -> None:
        self._console.title("No token's plaintext was written anywhere else")
        directories = (self._installation.directory, self._installation.plane.directory)
        places = [place for directory in directories for place in search.files(directory)]
        result = search.search([*places, *search.objects(self._kubectl)])
        control = search.search(search.secrets_data(self._kubectl))
        check(bool(control.found), "the search is broken: it finds no token in the Secrets either")
        wanted = {"log files", "database files", "events", "objects"} - result.places.keys()
        check(not wanted, f"the search had nothing to read of: {', '.join(sorted(wanted))}")
        self._console.step(f"read {result.describe()}, {result.size / 1e6:.1f} MB, with logs at debug level")
        self._console.step(f"plaintext tokens found: {sum(result.found.values())}")
        check(not result.found, f"a token's plaintext is in: {', '.join(sorted(result.found))}")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
