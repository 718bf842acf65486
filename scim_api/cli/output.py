"""What ``scim-api connection`` prints: new credentials, once, and the list of connections."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from scim_api.cli.issuance import Issued, auth_of
from scim_api.cli.sign_in import AuthType
from scim_api.contract.admin import Connection, TenantSettings
from scim_api.contract.oauth import token_endpoint

_ADVICE: Final = {
    AuthType.BEARER_TOKEN: "In Entra: endpoint is the Tenant URL, token the Secret Token. It is shown only now.",
    AuthType.OAUTH_CLIENT_CREDENTIALS: (
        "In Entra: endpoint is the Tenant URL, token endpoint the OAuth token endpoint, client id and client secret are"
        " what they are called there; no scope. The secret is shown only now."
    ),
    AuthType.WORKLOAD_IDENTITY: (
        "In Entra: endpoint is the Tenant URL, token endpoint the Token URL, client id the Client ID. There is no secret."
    ),
}
_ADVICE_TO_READERS: Final = {
    AuthType.BEARER_TOKEN: (
        "The application sends the token as Authorization: Bearer <token> to what is below endpoint, and can change nothing"
        " there. It is shown only now."
    ),
    AuthType.OAUTH_CLIENT_CREDENTIALS: (
        "The application fetches access tokens from token endpoint with client id and client secret, and can change nothing"
        " with them. The secret is shown only now."
    ),
    AuthType.WORKLOAD_IDENTITY: (
        "The application fetches access tokens from token endpoint with client id and an assertion, and can change nothing"
        " with them. There is no secret."
    ),
}
_COLUMNS: Final = (
    "CONNECTION", "TENANT", "ACCESS", "USERS", "REQUESTS/S", "BURST", "KIND", "CLIENT ID", "TOKEN ID", "EXPIRES", "LAST USED",
)  # fmt: skip


def rfc3339(moment: datetime) -> str:
    """In UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def members(issued: Issued) -> dict[str, str | None]:
    """What is printed of a new credential, under the names of the JSON object."""
    shown: dict[str, str | None] = {"endpoint": issued.endpoint}
    if issued.auth is AuthType.BEARER_TOKEN:
        shown |= {"token": issued.plaintext, "tokenId": issued.credential_id}
    else:
        shown |= {"tokenEndpoint": token_endpoint(issued.endpoint), "clientId": issued.client_id}
    if issued.auth is AuthType.OAUTH_CLIENT_CREDENTIALS:
        shown |= {"clientSecret": issued.plaintext, "clientSecretId": issued.credential_id}
    if issued.auth is not AuthType.WORKLOAD_IDENTITY:
        shown |= {"expiresAt": rfc3339(issued.expires_at)}
    return shown


def print_issued(issued: Issued, *, as_json: bool) -> None:
    """A new credential to standard output, and what to do with it to standard error."""
    shown = members(issued)
    if as_json:
        click.echo(json.dumps(shown))
        return
    names = {member: _words(member) for member in shown}
    width = max(map(len, names.values()))
    for member, value in shown.items():
        click.echo(f"{names[member].ljust(width)}  {value}")
    advice = _ADVICE_TO_READERS if issued.access == "ReadOnly" else _ADVICE
    click.echo(f"\n{advice[issued.auth]}", err=True)


def _words(member: str) -> str:
    """``clientSecretId`` -> ``client secret id``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in member)


def print_connections(items: Sequence[Connection], *, as_json: bool) -> None:
    """All connections with their live credentials; why the token endpoint refused some, to standard error."""
    rows = [_row(item) for item in items]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("no connections; `scim-api connection create NAMESPACE/NAME` makes one", err=True)
        return
    lines = [_COLUMNS, *(line for row in rows for line in _lines(row))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if refusal := row["lastRefusal"]:
            click.echo(
                f"{row['connection']}: the token endpoint refused it at {refusal['at']}: {refusal['check']}; "
                f"expected {refusal['expected'] or '-'}, received {refusal['received'] or '-'}",
                err=True,
            )


def _row(item: Connection) -> dict[str, Any]:
    rate = (item.settings or TenantSettings()).rate_limit
    refusal = item.last_refusal
    return {
        "connection": f"{item.namespace}/{item.name}",
        "tenant": item.tenant,
        "access": item.access,
        "users": item.resources,
        "requestsPerSecond": rate.requests_per_second,
        "burst": rate.burst,
        "auth": auth_of(item),
        "clientId": None if item.oauth_client is None else item.oauth_client.client_id,
        "tokens": [
            {
                "tokenId": credential.id,
                "kind": credential.kind,
                "expiresAt": rfc3339(credential.expires_at),
                "lastUsedAt": _moment(credential.last_used_at),
                "lastInspectedAt": _moment(credential.last_inspected_at),
            }
            for credential in item.credentials
        ],
        "lastRefusal": None
        if refusal is None
        else {
            "at": rfc3339(refusal.at),
            "check": refusal.check,
            "expected": refusal.expected,
            "received": refusal.received,
        },
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _lines(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A line for each credential, or one for a connection without any."""
    tokens = row["tokens"] or [{"tokenId": "-", "kind": row["auth"], "expiresAt": "-", "lastUsedAt": None}]
    return [
        (
            str(row["connection"]),
            str(row["tenant"]),
            str(row["access"]),
            str(row["users"]),
            str(row["requestsPerSecond"]),
            str(row["burst"]),
            token["kind"],
            row["clientId"] or "-",
            token["tokenId"],
            token["expiresAt"],
            token["lastUsedAt"] or "never",
        )
        for token in tokens
    ]
