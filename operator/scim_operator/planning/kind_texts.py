"""What conditions and Events say of a credential, by its kind. Pure."""

from collections.abc import Mapping
from typing import Final

from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import ScimToken, format_time
from scim_operator.api.status import CredentialKind

NOUNS: Final[Mapping[CredentialKind, str]] = {
    "BearerToken": "token",
    "ClientSecret": "client secret",
    "WorkloadIdentity": "trust",
}
"""What each kind is called in a sentence."""
_READ_BY_APPLICATION: Final[Mapping[CredentialKind, str]] = {
    "BearerToken": "key token",
    "ClientSecret": "keys token-endpoint, client-id and client-secret",
    "WorkloadIdentity": "keys token-endpoint and client-id",
}
_WHERE: Final = "(Enterprise application, Provisioning, Connectivity or Admin Credentials)"


def published(token: ScimToken, kind: CredentialKind) -> str:
    """The sentence of the condition Published."""
    secret_name = token.secret_name
    match kind:
        case "BearerToken":
            return f"Secret {secret_name} holds endpoint and token"
        case "ClientSecret":
            return f"Secret {secret_name} holds endpoint, token-endpoint, client-id and client-secret"
        case "WorkloadIdentity" if token.is_read_only:
            return (
                f"Secret {secret_name} holds endpoint, token-endpoint and client-id, and no secret. Only the application can "
                "sign in with them, so nothing was proven here"
            )
        case "WorkloadIdentity":
            return (
                f"Secret {secret_name} holds endpoint, token-endpoint and client-id, and no secret. Only Entra can sign "
                "in with them, so nothing was proven here: Test Connection in Entra does it"
            )


def remedy(token: ScimToken, kind: CredentialKind) -> str:
    """How Entra, or the application that reads, gets what the Secret publishes now."""
    name, space = token.secret_name, token.metadata.namespace
    if token.is_read_only:
        return f"have the application read {_READ_BY_APPLICATION[kind]} of Secret {space}/{name} again"
    get = f"kubectl get secret {name} -n {space} -o jsonpath='{{.data."
    match kind:
        case "BearerToken":
            return (
                f"paste key token of Secret {space}/{name} into Entra, field Secret Token {_WHERE}, Test Connection, "
                f"save: {get}token}}' | base64 -d"
            )
        case "ClientSecret":
            return (
                f"paste keys token-endpoint, client-id and client-secret of Secret {space}/{name} into Entra, "
                f"authentication method OAuth 2.0 client credentials {_WHERE}, Test Connection, save: "
                f"{get}client-secret}}' | base64 -d"
            )
        case "WorkloadIdentity":
            return (
                f"choose the authentication method Workload Identity Federation in Entra {_WHERE} with keys "
                f"token-endpoint and client-id of Secret {space}/{name}, Test Connection, save"
            )


def client_of(token: ScimToken) -> str:
    """Who is meant to sign in with it."""
    return "the application" if token.is_read_only else "Entra"


def still_used(token: ScimToken, connection: Connection, active_id: str) -> str | None:
    """The sentence about a client that has not followed a change of ``spec.auth.type``; None when there is none."""
    accepted = {item.id: item for item in connection.credentials if connection.now < item.ends_at}
    active = accepted.get(active_id)
    if active is None:
        return None
    others = [
        item
        for item in accepted.values()
        if item.kind != active.kind
        and item.last_used_at is not None
        and (active.last_used_at is None or active.last_used_at < item.last_used_at)
    ]
    if not others:
        return None
    last = max(others, key=lambda item: (item.last_used_at or item.issued_at, item.id))
    return (
        f"{last.user_agent or 'A client without a name'} still signs in with {NOUNS[last.kind]} {last.id}, which is "
        f"accepted until {format_time(last.ends_at)}; before that, {remedy(token, active.kind)}"
    )
