"""Options of ``python -m entra_standin`` that say how to sign in."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx

from entra_standin.assertions import Assertions, Variant, WorkloadIdentity
from entra_standin.key_server import KeyServer
from entra_standin.sign_in import AccessTokens, SecretToken, SignIn
from entra_standin.signing_keys import SigningKeys
from entra_standin.token_endpoint import ClientSecret, Credentials, Location, SignedAssertion, TokenEndpoint

SECRET_TOKEN, CLIENT_CREDENTIALS, WORKLOAD_IDENTITY = AUTH_TYPES = (
    "BearerToken",
    "OAuthClientCredentials",
    "WorkloadIdentity",
)
_NEEDED = {
    SECRET_TOKEN: (),
    CLIENT_CREDENTIALS: ("token_endpoint", "client_id"),
    WORKLOAD_IDENTITY: ("token_endpoint", "client_id", "entra_tenant", "subject", "app_id", "keys_port"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument("--auth", choices=AUTH_TYPES, default=SECRET_TOKEN, help="how to sign in")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the Secret Token or client secret"
    )
    secret.add_argument("--token-env", metavar="NAME", help="environment variable that holds it")
    oauth = parser.add_argument_group("with OAuthClientCredentials and WorkloadIdentity")
    oauth.add_argument("--token-endpoint", metavar="URL", help="as the Secret's `token-endpoint` has it")
    oauth.add_argument("--client-id", metavar="ID", help="as the Secret's `client-id` has it")
    oauth.add_argument("--scope", metavar="TEXT", help="OAuth 2.0 scopes; without it none are sent")
    oauth.add_argument(
        "--credentials",
        type=Location,
        choices=list(Location),
        default=Location.HEADER,
        help="where id and secret are sent",
    )
    workload = parser.add_argument_group("with WorkloadIdentity")
    workload.add_argument("--entra-tenant", metavar="GUID", help="the tenant that the assertions are from")
    workload.add_argument("--subject", metavar="ID", help="the workload identity's object id")
    workload.add_argument(
        "--app-id", metavar="GUID", help="its application id, of which the audience is made"
    )
    workload.add_argument("--claims", type=Variant, choices=list(Variant), default=Variant.OBSERVED)
    workload.add_argument(
        "--keys-port",
        type=int,
        metavar="PORT",
        help="where its keys are served: http://127.0.0.1:PORT/GUID/discovery/v2.0/keys is the --keys-url of the"
        " connection, and http://127.0.0.1:PORT is in SCIM_API_KEYS_HOSTS of the service",
    )


@contextlib.contextmanager
def credentials_of(arguments: argparse.Namespace) -> Iterator[Credentials | None]:
    """What the options say about a client of the token endpoint; None with a Secret Token.

    The keys of a workload identity are served for the length of the block.

    Raises:
        OSError: the file can't be read, or the port is in use.
        ValueError: an option is missing, or the secret is.
    """
    missing = [name for name in _NEEDED[arguments.auth] if getattr(arguments, name) is None]
    if missing:
        raise ValueError(f"--auth {arguments.auth} needs --{missing[0].replace('_', '-')}")
    if arguments.auth == SECRET_TOKEN:
        yield None
    elif arguments.auth == CLIENT_CREDENTIALS:
        yield ClientSecret(arguments.client_id, secret_of(arguments), arguments.credentials)
    else:
        keys = SigningKeys()
        identity = WorkloadIdentity(arguments.entra_tenant, arguments.app_id, arguments.subject)
        with KeyServer(keys, arguments.entra_tenant, port=arguments.keys_port):
            yield SignedAssertion(arguments.client_id, Assertions(identity, keys, arguments.claims))


@contextlib.contextmanager
def sign_in_of(
    arguments: argparse.Namespace,
    credentials: Credentials | None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[SignIn]:
    """The way to sign in with these credentials. Raises what ``secret_of`` does."""
    if credentials is None:
        yield SecretToken(secret_of(arguments))
        return
    with TokenEndpoint(
        arguments.token_endpoint, credentials, scope=arguments.scope, transport=transport
    ) as endpoint:
        yield AccessTokens(endpoint.fetch)


def secret_of(arguments: argparse.Namespace) -> str:
    """From the file, or from the environment variable of that name; never from the command line.

    Raises:
        OSError: the file can't be read.
        ValueError: the variable is not set, the file is not UTF-8, or neither was named.
    """
    file: Path | None = arguments.token_file
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    if arguments.token_env is None:
        raise ValueError(f"--auth {arguments.auth} needs --token-file or --token-env")
    token = os.environ.get(arguments.token_env, "").strip()
    if not token:
        raise ValueError(f"the environment variable {arguments.token_env} is not set")
    return token
