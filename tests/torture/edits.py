"""What people and their tools do to ScimTokens and Secrets, and what is known of the tokens by that."""

import asyncio
import base64
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import httpx

from torture.objects import FUTURE, SCIMTOKENS, Objects, is_ready, secret_of
from torture.rules import Token

DEADLINE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2
REVOCATION_SECONDS: Final = 240.0
"""A revocation waits for Entra, which may have dropped what it said it had saved."""
ISSUED_SECONDS: Final = 20.0
"""A credential is seen in its Secret so long after it was issued at the latest, operators being frozen meanwhile."""
FUTURE_SECONDS: Final = 4.0
"""How long a spec stays one that the operator does not know; it can't rotate meanwhile."""


@dataclasses.dataclass
class Known:
    """A token or client secret of one ScimToken, with its plaintext, which stays in this process."""

    owner: str
    token: Token
    plaintext: str


class Published(NamedTuple):
    """The credential that a Secret shows."""

    plaintext: str
    id: str
    client_id: str | None
    """Of a client secret; None for a token."""


def published(data: Mapping[str, str]) -> Published | None:
    """The credential in a Secret's data; None while there is none, or not all of it."""
    if "client-secret" in data:
        found = (data["client-secret"], data.get("client-secret-id"), data.get("client-id"))
    else:
        found = (data.get("token", ""), data.get("token-id"), None)
    plaintext, identity, client_id = found
    return Published(plaintext, identity, client_id) if plaintext and identity else None


class Tokens:
    """All tokens and client secrets that were ever seen in a Secret, and forged ones.

    Args:
        objects: the cluster's.
        names: of the ScimTokens.
    """

    def __init__(self, objects: Objects, names: tuple[str, ...]) -> None:
        self._objects, self._names = objects, names
        self.known: list[Known] = []
        self.rotations = 0
        self._forged: set[str] = set()
        self.recreated: dict[str, float] = {}
        """ScimTokens that are being deleted and made anew, since when: what their Secrets show may be the former's."""

    async def observe(self) -> None:
        """Look at each Secret once; a token that is new there counts from now on."""
        for name in self._names:
            data = await self._objects.secret(name)
            shown = published(data)
            if shown is None or shown.plaintext in self._forged or not data.get("expires-at"):
                continue
            if any(known.plaintext == shown.plaintext for known in self.known):
                continue
            self.rotations += any(known.owner == name for known in self.known)
            expires = datetime.fromisoformat(data["expires-at"]).timestamp()
            token = Token(shown.id, time.time(), expires, self.recreated.get(name), client_id=shown.client_id)
            self.known.append(Known(name, token, shown.plaintext))

    def of(self, owner: str) -> list[Token]:
        """Those of a ScimToken."""
        return [known.token for known in self.known if known.owner == owner]

    def forge(self, number: int, client_id: str | None) -> str:
        """A token, or a client's secret, that nobody issued, which the traffic tries from now on; base64 as a Secret
        holds it.
        """
        plaintext = f"{'sct' if client_id is None else 'scs'}_forged{number}"
        self._forged.add(plaintext)
        self.known.append(Known("", Token(f"forged-{number}", None, client_id=client_id), plaintext))
        return base64.b64encode(plaintext.encode()).decode()


class Edits:
    """Changes one ScimToken or its Secret; what Kubernetes does not take is dropped, or tried until it does.

    Args:
        objects: the cluster's.
        tokens: what is known of them, brought up to date with every order.
    """

    def __init__(self, objects: Objects, tokens: Tokens) -> None:
        self._objects, self._tokens = objects, tokens
        self._busy: set[str] = set()

    async def do(self, action: str, owner: str, number: int) -> None:
        """One of ``schedule.EDITS`` or ``schedule.HAND_OVER_EDITS``."""
        with contextlib.suppress(httpx.HTTPError):
            match action:
                case "delete-secret":
                    await self._objects.delete(secret_of(owner))
                case "overwrite-token":
                    await self._overwrite(owner, number)
                case "take-owner-reference":
                    await self._objects.patch(secret_of(owner), {"metadata": {"ownerReferences": None}})
                case "rotate":
                    await self._objects.annotate(owner, "rotate", str(number))
                case "revoke-superseded" | "revoke-active":
                    await self._alone(owner, self._revoke, action.removeprefix("revoke-").capitalize())
                case "revoke-all-before":
                    await self._alone(owner, self._revoke_all)
                case "recreate":
                    await self._alone(owner, self._recreate)
                case "change-auth-type":
                    await self._alone(owner, self._change_type)
                case _:
                    await self._alone(owner, self._foresee)

    async def restore(self, owner: str) -> None:
        """As a backup does it while no operator runs: the ScimToken comes with another uid, and its Secret, with
        the same token, belongs to nobody.
        """
        await self._alone(owner, self._restore)

    async def _overwrite(self, owner: str, number: int) -> None:
        client_id = (await self._objects.secret(owner)).get("client-id")
        part = "token" if client_id is None else "client-secret"
        await self._objects.patch(secret_of(owner), {"data": {part: self._tokens.forge(number, client_id)}})

    async def _change_type(self, owner: str) -> None:
        """From a secret token to client credentials, or back: what was accepted stays so to its own end."""
        present = (await self._objects.scimtoken(owner)).get("spec", {}).get("auth", {}).get("type")
        wanted = "BearerToken" if present == "OAuthClientCredentials" else "OAuthClientCredentials"
        await self._objects.patch(f"{SCIMTOKENS}/{owner}", {"spec": {"auth": {"type": wanted}}})

    async def _alone(self, owner: str, edit: Callable[..., Awaitable[None]], *arguments: str) -> None:
        """A second such order for the same ScimToken would take the place of the first."""
        if owner in self._busy:
            return
        self._busy.add(owner)
        try:
            await edit(owner, *arguments)
        finally:
            self._busy.discard(owner)

    async def _revoke(self, owner: str, state: str) -> None:
        """Order the end of one token, and note when the status says that it has come."""
        listed = await self._objects.states(owner)
        token = next(
            (
                token
                for token in self._tokens.of(owner)
                if listed.get(token.id) == state and token.revoke_ordered_at is None
            ),
            None,
        )
        if token is None:
            return
        token.revoke_ordered_at = time.time()
        await self._objects.annotate(owner, "revoke", token.id)

        async def is_gone() -> bool:
            now = await self._objects.states(owner)
            return bool(now) and now.get(token.id, "Revoked") == "Revoked"

        await until(f"{token.id} is revoked", is_gone, REVOCATION_SECONDS)
        token.revoked_at = time.time()

    async def _revoke_all(self, owner: str) -> None:
        """Order the end of all that was issued until some seconds ago, as for a leaked one."""
        now = time.time()
        limit = now - ISSUED_SECONDS
        ordered = [token for token in self._tokens.of(owner) if token.revoke_ordered_at is None]
        for token in ordered:
            token.revoke_ordered_at = now
        moment = datetime.fromtimestamp(limit, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._objects.annotate(owner, "revoke", f"all-before/{moment}")
        selected = [token for token in ordered if (token.published_at or now) < limit - 1]

        async def are_gone() -> bool:
            states = await self._objects.states(owner)
            return bool(states) and all(states.get(one.id, "Revoked") == "Revoked" for one in selected)

        await until(f"what {owner} had is revoked", are_gone, REVOCATION_SECONDS)
        states = await self._objects.states(owner)
        for token in ordered:
            if states.get(token.id, "Revoked") == "Revoked":
                token.revoked_at = time.time()
            else:
                token.revoke_ordered_at = None

    async def _recreate(self, owner: str) -> None:
        """``kubectl replace --force``: all tokens of the one before end, and users stay."""
        uid = await self._uid(owner)
        if uid is None:
            return
        ordered = self._tokens.recreated[owner] = time.time()
        try:
            for token in self._tokens.of(owner):
                token.revoke_ordered_at = token.revoke_ordered_at or ordered
            await self._insist(f"{owner} is deleted", lambda: self._objects.delete(f"{SCIMTOKENS}/{owner}"))
            await self._insist(f"{owner} is created", lambda: self._objects.create_scimtoken(owner))

            async def is_another_and_ready() -> bool:
                found = await self._objects.scimtoken(owner)
                return bool(found) and found["metadata"]["uid"] != uid and is_ready(found)

            await until(f"{owner} is Ready again", is_another_and_ready, 2 * DEADLINE_SECONDS)
            present = await self._objects.states(owner)
        finally:
            del self._tokens.recreated[owner]
        for token in self._tokens.of(owner):
            if token.id in present and token.revoke_ordered_at == ordered:
                token.revoke_ordered_at = None
            elif token.id not in present:
                token.revoked_at = token.revoked_at or time.time()

    async def _foresee(self, owner: str) -> None:
        """A spec that only a newer operator knows, for a while."""
        path = f"{SCIMTOKENS}/{owner}"
        await self._insist("a newer spec", lambda: self._objects.patch(path, {"spec": {"groups": FUTURE}}))
        await asyncio.sleep(FUTURE_SECONDS)
        await self._insist(
            "the spec as before", lambda: self._objects.patch(path, {"spec": {"groups": None}})
        )

    async def _restore(self, owner: str) -> None:
        path = f"{SCIMTOKENS}/{owner}"
        backup = await self._objects.secret(owner)
        states = await self._objects.states(owner)
        shown = published(backup)
        known = {known.plaintext for known in self._tokens.known if known.owner}
        if shown is None or shown.plaintext not in known or states.get(shown.id) != "Active":
            return  # there is no backup of a token that is accepted
        # The Secret is let go first: a deletion that orphans it waits for the garbage collector, the operators frozen.
        nobody = {"metadata": {"ownerReferences": None}}
        await self._insist(
            f"{owner}'s Secret is nobody's", lambda: self._objects.patch(secret_of(owner), nobody)
        )
        await self._insist(f"{owner} is deleted", lambda: self._objects.delete(path))
        await self._insist(f"{owner} is restored", lambda: self._objects.create_scimtoken(owner))

    async def _uid(self, owner: str) -> str | None:
        metadata: dict[str, Any] = (await self._objects.scimtoken(owner)).get("metadata", {})
        return metadata.get("uid")

    async def _insist(self, what: str, attempt: Callable[[], Awaitable[bool]]) -> None:
        async def taken() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return await attempt()
            return False

        await until(what, taken, DEADLINE_SECONDS)


async def until(what: str, holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Poll. Raises ``TimeoutError``."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(POLL_SECONDS)
