"""From a secret token to OAuth 2.0, and on to no secret at all, while requests go on.

Told of a ScimToken that is Ready and has ``BearerToken``. The API has to be let fetch keys from the stand-in's server:
``KeyServer.origin`` in ``SCIM_API_KEYS_HOSTS`` when it is started.
"""

import base64
import contextlib
import json
from typing import Any, Final

from demo.console import Console, Kubectl, check, until
from demo.rotation import Credential, Load, ask
from entra_standin.assertions import Assertions, WorkloadIdentity
from entra_standin.key_server import KeyServer
from entra_standin.sign_in import AccessTokens
from entra_standin.signing_keys import SigningKeys
from entra_standin.token_endpoint import ClientSecret, Credentials, Location, SignedAssertion, TokenEndpoint

IDENTITY: Final = WorkloadIdentity(
    tenant_id="5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2",
    app_id="9d1b7d52-7f0e-4a53-8f5e-6c1f0c2b7a10",
    object_id="3c0f0a2e-0d0f-4b0a-9a55-2d6a0e6f1d11",
)
"""Of the stand-in for Entra."""
_SOON_SECONDS: Final = 15.0
_NEW_KEY_SECONDS: Final = 90.0
"""Keys are fetched at a bounded rate, whoever asks for new ones."""
_OK: Final = 200
_OAUTH_KEYS: Final = {
    "endpoint",
    "token-endpoint",
    "client-id",
    "client-secret",
    "client-secret-id",
    "expires-at",
}
_WORKLOAD_IDENTITY_KEYS: Final = {"endpoint", "token-endpoint", "client-id"}


def tell(console: Console, kubectl: Kubectl, name: str, keys: SigningKeys, server: KeyServer) -> None:
    """The whole part, for the ScimToken of this name.

    Args:
        console: told each step.
        kubectl: with the ScimToken's namespace as its default.
        name: of a ScimToken that is Ready, with ``BearerToken``.
        keys: of the stand-in for Entra.
        server: publishes them; it runs.

    Raises:
        DemoFailed: at the first step that is not as it must be.
    """
    with contextlib.ExitStack() as stack:
        changes = _Changes(console, kubectl, name, stack)
        by_secret = changes.to_oauth()
        changes.to_workload_identity(by_secret, keys, server)


class _Changes:
    """The changes of one ScimToken, and who signs in after each.

    Args:
        console: told each step.
        kubectl: with the ScimToken's namespace as its default.
        name: of the ScimToken.
        stack: closes connections in the end.
    """

    def __init__(self, console: Console, kubectl: Kubectl, name: str, stack: contextlib.ExitStack) -> None:
        self._console, self._kubectl, self._name, self._stack = console, kubectl, name, stack

    def to_oauth(self) -> AccessTokens:
        """A client secret takes the place of the secret token, under traffic; who signs in with it."""
        self._console.title("From a secret token to OAuth 2.0, while requests go on")
        secret = self._secret()
        token, endpoint = secret["token"], secret["endpoint"]
        with Load.on(endpoint, token) as load:
            load.wait_enough(token)
            self._patch("the type of sign-in is changed", {"type": "OAuthClientCredentials"})
            secret = self._secret_with(_OAUTH_KEYS)
            self._console.step(
                f"the Secret holds a client id and a client secret, {secret['client-secret']}, and no token any more"
            )
            client = self._client(
                secret, ClientSecret(secret["client-id"], secret["client-secret"], Location.BOTH)
            )
            load.publish(client)
            load.wait_enough(token, client)
        self._conclude(load, ("secret token", token), ("client credentials", client))
        check(
            client.fetched == 1,
            f"{client.fetched} access tokens were asked for, where one serves all requests",
        )
        return client

    def to_workload_identity(self, before: AccessTokens, keys: SigningKeys, server: KeyServer) -> None:
        """A workload identity takes the place of the client secret, under traffic; its keys rotate meanwhile."""
        self._console.title("And no secret at all: a workload identity")
        endpoint = self._secret()["endpoint"]
        with Load.on(endpoint, before) as load:
            load.wait_enough(before)
            self._patch("Entra's identity is trusted instead", _workload_identity(server))
            secret = self._secret_with(_WORKLOAD_IDENTITY_KEYS)
            self._console.step(f"the Secret holds no secret: {', '.join(sorted(secret))}")
            client = self._client(secret, SignedAssertion(secret["client-id"], Assertions(IDENTITY, keys)))
            load.publish(client)
            load.wait_enough(before, client)
        self._conclude(load, ("client credentials", before), ("workload identity", client))
        keys.rotate()
        client.forget()
        until("an assertion with a new key is taken", lambda: ask(endpoint, client) == _OK, _NEW_KEY_SECONDS)
        self._console.step(
            "Entra signs with another key from now on: it was fetched, and what it signed is taken"
        )

    def _patch(self, text: str, auth: dict[str, Any]) -> None:
        patch = json.dumps({"spec": {"auth": auth}})
        self._kubectl.step(text, "patch", "sct", self._name, "--type=merge", "-p", patch)

    def _secret(self) -> dict[str, str]:
        answer = json.loads(self._kubectl("get", "secret", f"{self._name}-scim-token", "-o", "json"))
        return {key: base64.b64decode(value).decode() for key, value in answer["data"].items()}

    def _secret_with(self, keys: set[str]) -> dict[str, str]:
        def changed() -> dict[str, str] | None:
            secret = self._secret()
            return secret if secret.keys() == keys else None

        return until(f"the Secret holds {', '.join(sorted(keys))} and nothing else", changed, _SOON_SECONDS)

    def _client(self, secret: dict[str, str], credentials: Credentials) -> AccessTokens:
        endpoint = self._stack.enter_context(TokenEndpoint(secret["token-endpoint"], credentials))
        return AccessTokens(endpoint.fetch)

    def _conclude(self, load: Load, *used: tuple[str, Credential]) -> None:
        counts = ", ".join(f"{name} {load.of(credential)}" for name, credential in used)
        self._console.step(f"requests sent: {load.total}, rejected: {load.rejected} ({counts})")
        check(load.rejected == 0, f"rejected during the change, by status: {load.refusals()}")


def _workload_identity(server: KeyServer) -> dict[str, Any]:
    """``spec.auth`` that trusts the stand-in."""
    return {
        "type": "WorkloadIdentity",
        "workloadIdentity": {
            "tenantID": IDENTITY.tenant_id,
            "subjects": [IDENTITY.object_id],
            "audiences": [f"api://{IDENTITY.app_id}", IDENTITY.app_id],
            "keysURL": server.url,
        },
    }
