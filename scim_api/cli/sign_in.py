"""How a client signs in: what was typed at the command line, checked and completed."""

import dataclasses
import enum
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from scim_api.cli.mistake import ConnectionMistake
from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.contract.oauth import CLOUDS, Cloud

DEFAULT_LIFETIME: Final = timedelta(days=90)
DEFAULT_ACCESS_TOKEN_LIFETIME: Final = timedelta(hours=1)
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_VALUES: Final = 16
_LONGEST_VALUE: Final = 256
_LONGEST_URL: Final = 512


class AuthType(enum.StrEnum):
    """The ways to sign in that Entra's provisioning service knows."""

    BEARER_TOKEN = "BearerToken"  # noqa: S105 (a name)
    OAUTH_CLIENT_CREDENTIALS = "OAuthClientCredentials"
    WORKLOAD_IDENTITY = "WorkloadIdentity"


@dataclasses.dataclass(frozen=True, slots=True)
class BearerToken:
    """One long-lived token: Entra's Secret Token."""

    lifetime: timedelta


@dataclasses.dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Client id and secret for the token endpoint (RFC 6749 section 4.4)."""

    lifetime: timedelta
    """Of the secret."""
    access_token_seconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """Assertions that Entra signs, for the token endpoint (RFC 7523 section 2.2); no secret."""

    trust: WorkloadIdentityTrust
    access_token_seconds: int


SignIn = BearerToken | ClientCredentials | WorkloadIdentity


@dataclasses.dataclass(frozen=True, slots=True)
class Typed:
    """Options as they were typed; None or empty: not at all."""

    lifetime: timedelta | None = None
    access_token_lifetime: timedelta | None = None
    """From 1 to 6 hours."""
    entra_tenant: str | None = None
    cloud: str | None = None
    subjects: Sequence[str] = ()
    audiences: Sequence[str] = ()
    issuers: Sequence[str] = ()
    keys_url: str | None = None


_OPTIONS: Final = {
    "lifetime": "--lifetime",
    "access_token_lifetime": "--access-token-lifetime",
    "entra_tenant": "--entra-tenant",
    "cloud": "--cloud",
    "subjects": "--subject",
    "audiences": "--audience",
    "issuers": "--issuer",
    "keys_url": "--keys-url",
}
_TAKEN: Final = {
    AuthType.BEARER_TOKEN: frozenset({"lifetime"}),
    AuthType.OAUTH_CLIENT_CREDENTIALS: frozenset({"lifetime", "access_token_lifetime"}),
    AuthType.WORKLOAD_IDENTITY: frozenset(_OPTIONS) - {"lifetime"},
}


def sign_in_of(auth: AuthType, typed: Typed) -> SignIn:
    """What the options ask for, with defaults where they say nothing.

    Raises:
        ConnectionMistake: an option is wrong, missing, or of another type.
    """
    _refuse_options_of_other_types(auth, typed)
    lifetime = typed.lifetime or DEFAULT_LIFETIME
    if auth is AuthType.BEARER_TOKEN:
        return BearerToken(lifetime)
    seconds = int((typed.access_token_lifetime or DEFAULT_ACCESS_TOKEN_LIFETIME).total_seconds())
    if auth is AuthType.OAUTH_CLIENT_CREDENTIALS:
        return ClientCredentials(lifetime, seconds)
    return WorkloadIdentity(_trust(typed), seconds)


def _refuse_options_of_other_types(auth: AuthType, typed: Typed) -> None:
    for field, option in _OPTIONS.items():
        if getattr(typed, field) in (None, ()) or field in _TAKEN[auth]:
            continue
        if auth is AuthType.WORKLOAD_IDENTITY:
            raise ConnectionMistake(
                f"{option} is of no use with --auth {auth}: there is no secret that could expire; leave it out"
            )
        owners = " or ".join(other for other, taken in _TAKEN.items() if field in taken)
        raise ConnectionMistake(f"{option} goes with --auth {owners}, not with {auth}; leave it out")


def _trust(typed: Typed) -> WorkloadIdentityTrust:
    tenant = _tenant(typed.entra_tenant)
    login = CLOUDS[Cloud(typed.cloud or Cloud.PUBLIC)]
    if not typed.subjects:
        raise ConnectionMistake(
            "--subject is missing: write the object id that Entra shows as Subject; it may be repeated"
        )
    if not typed.audiences:
        raise ConnectionMistake(
            "--audience is missing: write what Entra shows as Audience, such as api://<app id>/.default; it may be"
            " repeated"
        )
    return WorkloadIdentityTrust(
        tenant_id=tenant,
        subjects=_values("--subject", typed.subjects),
        audiences=_values("--audience", typed.audiences),
        issuers=tuple(_url("--issuer", url) for url in _values("--issuer", typed.issuers))
        or login.issuers(tenant),
        keys_url=login.keys_url(tenant) if typed.keys_url is None else _url("--keys-url", typed.keys_url),
    )


def _tenant(text: str | None) -> str:
    if text is None:
        raise ConnectionMistake(
            "--entra-tenant is missing: write the id of your Entra tenant, a GUID; Entra's Issuer contains it"
        )
    tenant = text.lower()
    if _GUID.fullmatch(tenant) is None:
        raise ConnectionMistake(
            f"--entra-tenant {text!r}: write the GUID of the tenant, such as 5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
        )
    return tenant


def _values(option: str, values: Sequence[str]) -> tuple[str, ...]:
    """Each once, in the order of their first appearance."""
    for value in values:
        if not value or len(value) > _LONGEST_VALUE or not value.isascii() or not value.isprintable():
            raise ConnectionMistake(
                f"{option} {value!r}: write it as Entra shows it, in 1 to {_LONGEST_VALUE} ASCII characters"
            )
        if " " in value:
            raise ConnectionMistake(
                f"{option} {value!r}: it has no blanks; repeat the option for several values"
            )
    unlike = tuple(dict.fromkeys(values))
    if len(unlike) > _MOST_VALUES:
        raise ConnectionMistake(f"{option}: there may be {_MOST_VALUES} values, not {len(unlike)}")
    return unlike


def _url(option: str, text: str) -> str:
    """An address of Entra's; clear text is for tests on one machine."""
    mistake = ConnectionMistake(
        f"{option} {text!r}: write an https address without blanks, such as https://login.microsoftonline.com/…"
    )
    if len(text) > _LONGEST_URL or re.fullmatch(r"[!-~]+", text) is None:
        raise mistake
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        raise mistake from None
    if url.scheme not in ("https", "http") or not host or url.username is not None:
        raise mistake
    if url.scheme == "http" and host not in _LOOPBACK:
        raise ConnectionMistake(
            f"{option} {text!r}: write https://; clear text is for tests, on the loopback address alone"
        )
    return text
