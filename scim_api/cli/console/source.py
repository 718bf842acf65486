"""The connections of a database as the console's tokens: which credentials there are, who used them, and what is wrong."""

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from scim_api.cli.console.database import Database
from scim_api.cli.console.people import StoreDirectory
from scim_api.cli.issuance import all_connections, auth_of
from scim_api.contract.admin import Connection, CredentialStatus
from scim_api.contract.oauth import token_endpoint
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.urls import redact_url
from scim_console.model import (
    Check,
    Condition,
    Credential,
    Event,
    Field,
    Missing,
    Problem,
    Token,
    Unreachable,
)

SOON: Final = timedelta(days=14)
"""Before the end of the last credential: time to enter another one in Entra."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at whether connections changed."""


class StoreSource:
    """``scim_console.model.Source`` for a database.

    Args:
        database: to ask.
    """

    noun = "connection"
    apply: str | None = None
    doctor: str | None = None

    def __init__(self, database: Database) -> None:
        self._database = database
        self.place = redact_url(database.store.url)

    def tokens(self) -> Sequence[Token]:
        """All connections."""
        connections = self._database.ask(all_connections(self._database.store))
        return [self._token(connection) for connection in connections]

    def token(self, namespace: str, name: str) -> Token:
        """One connection."""
        return self._token(self._connection(namespace, name))

    def fields(self, namespace: str, name: str) -> Sequence[Field]:
        """What to paste where, but for the secret: the database has only its digest."""
        connection = self._connection(namespace, name)
        found = [Field("Tenant URL", self._database.endpoint)]
        if connection.oauth_client is not None:
            found += [
                Field(
                    "OAuth token endpoint (or Token Endpoint, Token URL)",
                    token_endpoint(self._database.endpoint),
                ),
                Field("Client ID (or Client Identifier)", connection.oauth_client.client_id),
            ]
        return found

    def events(self, namespace: str, name: str) -> Sequence[Event]:  # noqa: ARG002 (the protocol's)
        """Kubernetes has some, and no database."""
        return ()

    @contextlib.contextmanager
    def directory(self, namespace: str, name: str) -> Iterator[StoreDirectory]:
        """The tenant's people."""
        connection = self._connection(namespace, name)
        tenant = connection.tenant
        key = (
            None if tenant is None else self._database.ask(self._database.store.tenant_key(namespace, tenant))
        )
        if key is None or connection.settings is None or connection.settings_hash is None:
            raise Missing(f"{namespace}/{name} has no tenant")
        yield StoreDirectory(self._database, key, connection.settings, connection.settings_hash)

    def checks(self) -> Iterator[Check]:
        """What can be seen of a database from here."""
        store = self._database.store
        try:
            version = self._database.ask(store.schema_version())
        except Unreachable as error:
            yield Check("database", "failed", str(error), "See that it runs, and that its URL is right.")
            return
        yield Check("database", "passed", "It answers.", None)
        if version < REQUIRED_VERSION:
            yield Check(
                "schema", "failed", f"It is at version {version} of {REQUIRED_VERSION}.", "scim-api migrate"
            )
        else:
            yield Check("schema", "passed", f"It is at version {version}.", None)
        try:
            self._database.ask(store.check_writable())
        except Unreachable as error:
            yield Check(
                "writes", "failed", str(error), "Make it writable: Entra's changes are refused until then."
            )
        else:
            yield Check("writes", "passed", "It takes writes.", None)
        for token in self.tokens():
            for problem in token.problems:
                yield Check(problem.subject, "failed", problem.message, problem.command)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Each time that credentials or settings of any connection were written."""
        seen = self._database.ask(self._database.store.generation()).number
        while not stop.wait(LOOK_SECONDS):
            number = self._database.ask(self._database.store.generation()).number
            if number != seen:
                seen = number
                yield None

    def _connection(self, namespace: str, name: str) -> Connection:
        connection = self._database.ask(self._database.store.connection(namespace, name))
        if not connection.exists:
            raise Missing(f"There is no connection {namespace}/{name}; `scim-api connection list` shows all.")
        return connection

    def _token(self, connection: Connection) -> Token:
        return Token(
            namespace=connection.namespace,
            name=connection.name,
            tenant=connection.tenant or connection.name,
            auth_type=auth_of(connection).value,
            is_read_only=connection.access == "ReadOnly",
            is_suspended=False,
            secret_name=None,
            endpoint=self._database.endpoint,
            next_rotation=None,
            credentials=_credentials(connection),
            conditions=_conditions(connection),
            problems=_problems(connection),
            entra={},
        )


def _credentials(connection: Connection) -> Sequence[Credential]:
    """The newest is the active one; those before it were superseded when the next was issued, and work to their end."""
    held = connection.credentials
    return [_credential(one, after) for one, after in itertools.zip_longest(held, held[1:])]


def _credential(one: CredentialStatus, after: CredentialStatus | None) -> Credential:
    return Credential(
        id=one.id,
        kind=one.kind,
        state="Active" if after is None else "Superseded",
        issued_at=one.issued_at,
        superseded_at=None if after is None else after.issued_at,
        ends_at=one.ends_at,
        last_used_at=one.last_used_at,
        last_inspected_at=one.last_inspected_at,
    )


def _conditions(connection: Connection) -> Sequence[Condition]:
    """One that Kubernetes would have: whether it can be used."""
    problem = next(iter(_problems(connection)), None)
    if problem is None or problem.severity == "warning":
        return (Condition("Ready", "True", "Accepted", "A credential is accepted.", None),)
    return (Condition("Ready", "False", "NoCredential", problem.message, None),)


def _problems(connection: Connection) -> Sequence[Problem]:
    subject = f"{connection.namespace}/{connection.name}"
    rotate = f"scim-api connection rotate {subject}"
    found = []
    ends = max((one.ends_at for one in connection.credentials), default=None)
    if ends is None or ends <= connection.now:
        found.append(
            Problem("error", subject, "No credential is accepted any more: Entra is refused.", rotate)
        )
    elif ends <= connection.now + SOON:
        days = (ends - connection.now).days
        found.append(
            Problem(
                "warning",
                subject,
                f"Its last credential ends in {days} days; enter another in Entra.",
                rotate,
            )
        )
    refusal = connection.last_refusal
    if refusal is not None:
        said = f"The token endpoint refused it: {refusal.check}"
        if refusal.expected or refusal.received:
            said += f", expected {refusal.expected or 'none'}, received {refusal.received or 'none'}"
        found.append(Problem("warning", subject, f"{said}.", None))
    return found
