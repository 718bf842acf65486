"""Administration of connections, tenants and the installation, as scripts for both drivers."""

from collections.abc import Generator, Sequence
from typing import Final

from scim_api.contract.admin import (
    UNKNOWN_REVISION,
    Connection,
    ConnectionPage,
    CredentialStatus,
    OAuthClient,
    PutConnection,
    TokenRefusal,
    WorkloadIdentityTrust,
)
from scim_api.store.sql.change_log import ADMINISTRATION, record, record_all, type_of
from scim_api.store.sql.connection_state import (
    ConnectionState,
    StoredConnection,
    StoredCredential,
    StoredTenant,
)
from scim_api.store.sql.connections import ADMIN_ACTOR, check_revision, plan_delete, plan_put
from scim_api.store.sql.credentials import CHILDLESS, KEPT_TOMBSTONES, low_water_mark
from scim_api.store.sql.rows import parse_settings
from scim_api.store.sql.statements import COUNT
from scim_api.store.sql.timestamps import from_text
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript, run_all

_TENANT: Final = """t.pk, t.name, t.settings, t.settings_hash, t.state, t.namespace_uid,
    (SELECT cast(coalesce(sum(n.number), 0) AS bigint) FROM resource_count n
     WHERE n.tenant = t.pk AND n.kind = 'User')"""
_CONNECTION: Final = f"""
SELECT c.pk, c.namespace, c.name, c.revision, c.state, c.access, c.owner_uid, c.revoked_before, c.client_id,
    c.access_token_seconds, c.last_refusal, {_TENANT}
FROM connection c LEFT JOIN tenant t ON t.pk = c.tenant"""
_CREDENTIAL: Final = """
SELECT k.id, k.connection, k.kind, k.digest, k.issued_at, k.expires_at, k.retires_at, k.revoked_at,
    k.last_used_at, k.user_agent, k.trust, k.inspected_at
FROM credential k"""
_SIBLING: Final = """
SELECT c.namespace, c.name FROM connection c
WHERE c.tenant = ? AND c.state = 'exists' AND NOT (c.namespace = ? AND c.name = ?)
ORDER BY c.namespace, c.name LIMIT 1"""
_WRITING_SIBLING: Final = _SIBLING.replace("ORDER BY", "AND c.access = 'ReadWrite' ORDER BY")
_UNREVOKED: Final = (
    f"{_CREDENTIAL} WHERE k.connection = ? AND k.revoked_at IS NULL AND k.kind <> 'AccessToken'"
    " ORDER BY k.issued_at, k.id"
)
_NEWEST_REVOKED: Final = f"""
{_CREDENTIAL} WHERE k.connection = ? AND k.revoked_at IS NOT NULL AND k.expires_at > ? AND k.kind <> 'AccessToken'
ORDER BY k.issued_at DESC, k.id DESC LIMIT ?"""
_PAGE: Final = "c.state = 'exists' AND (c.namespace, c.name) > (?, ?)"
INSTALLATION: Final = "SELECT id FROM installation"
TENANT_KEY: Final = "SELECT pk FROM tenant WHERE namespace = ? AND name = ?"


def claim(installation: str) -> TransactionScript[str]:
    """Write the installation id where there is none; the one there is."""
    yield Statement("UPDATE installation SET id = ? WHERE id IS NULL", (installation,))
    [[identity]] = yield Statement(INSTALLATION)
    return str(identity)


def public_url(url: str | None) -> TransactionScript[str | None]:
    """Remember (when given) and return the SCIM base URL."""
    if url is not None:
        yield Statement("UPDATE installation SET public_url = ?", (url,))
    [[stored]] = yield Statement("SELECT public_url FROM installation")
    return None if stored is None else str(stored)


def read_connection(namespace: str, name: str, now: str) -> TransactionScript[Connection]:
    """What is held for one connection."""
    stored = yield from _load(namespace, name, now)
    if stored is None:
        return Connection(
            namespace=namespace,
            name=name,
            exists=False,
            revision=UNKNOWN_REVISION,
            now=from_text(now),
            owner_uid="",
            namespace_uid="",
        )
    return _answer(stored, now)


def read_page(after: str | None, limit: int, now: str) -> TransactionScript[ConnectionPage]:
    """A page of all connections that exist, in two queries."""
    start = tuple((after or "/").split("/", 1))
    rows = yield Statement(
        f"{_CONNECTION} WHERE {_PAGE} ORDER BY c.namespace, c.name LIMIT ?",
        (*start, limit + 1),
    )
    page = rows[:limit]
    if not page:
        return ConnectionPage(now=from_text(now), items=())
    end = (page[-1][1], page[-1][2])
    credentials = yield Statement(
        f"{_CREDENTIAL} JOIN connection c ON c.pk = k.connection"
        f" WHERE {_PAGE} AND (c.namespace, c.name) <= (?, ?) AND k.kind <> 'AccessToken' ORDER BY k.issued_at, k.id",
        (*start, *end),
    )
    by_connection: dict[int, list[Row]] = {}
    for row in credentials:
        by_connection.setdefault(row[1], []).append(row)
    items = tuple(_answer(_stored(row, by_connection.get(row[0], ())), now) for row in page)
    return ConnectionPage(now=from_text(now), items=items, next="/".join(end) if len(rows) > limit else None)


def put_connection(
    namespace: str, name: str, desired: PutConnection, *, if_match: str | None, now: str, revision: str
) -> TransactionScript[Connection]:
    """Make the state so, and answer with it. Raises what ``Store.put_connection`` does."""
    state = yield from _read_state(namespace, name, desired, now)
    check_revision(state, if_match)
    yield from run_all(plan_put(state, desired, now=now, revision=revision))
    return (yield from read_connection(namespace, name, now))


def delete_connection(
    namespace: str, name: str, *, if_match: str | None, now: str, revision: str
) -> TransactionScript[Connection]:
    """End a connection, and answer with what is left. Raises ``RevisionMismatch``."""
    state = yield from _read_state(namespace, name, None, now)
    check_revision(state, if_match)
    yield from run_all(plan_delete(state, now=now, revision=revision))
    return (yield from read_connection(namespace, name, now))


def release_namespace(namespace: str, now: str) -> TransactionScript[Sequence[str]]:
    """Forget the uid of the namespace that tenants belong to; the names of those that belonged to one."""
    rows = yield Statement(
        "SELECT name FROM tenant WHERE namespace = ? AND namespace_uid IS NOT NULL ORDER BY name",
        (namespace,),
    )
    names = [str(row[0]) for row in rows]
    yield Statement("UPDATE tenant SET namespace_uid = NULL WHERE namespace = ?", (namespace,))
    for name in names:
        yield record(ADMINISTRATION, now, "tenant.release-namespace", f"{namespace}/{name}", ADMIN_ACTOR)
    return names


def purge(batch: int, now: str) -> TransactionScript[int]:
    """One batch of deletion: resources of purging tenants, and tombstones whose time is over."""
    deleted = 0
    marked = yield Statement(
        "SELECT pk, namespace, name FROM tenant WHERE state = 'purging' ORDER BY pk LIMIT ?", (batch,)
    )
    for tenant, namespace, name in marked:
        deleted += yield from _purge_tenant(tenant, f"{namespace}/{name}", batch - deleted, now)
        if deleted >= batch:
            break
    yield Statement(
        "DELETE FROM credential WHERE id IN"
        f" (SELECT id FROM credential WHERE expires_at <= ? AND {CHILDLESS} LIMIT ?)",
        (now, now, batch),
    )
    return deleted


def _purge_tenant(tenant: int, name: str, batch: int, now: str) -> TransactionScript[int]:
    rows = yield Statement(
        "DELETE FROM resource WHERE pk IN (SELECT pk FROM resource WHERE tenant = ? ORDER BY pk LIMIT ?)"
        " RETURNING kind, id, external_key, version",
        (tenant, batch),
    )
    kinds = [row[0] for row in rows]
    if rows:
        yield record_all(
            [
                record(
                    tenant,
                    now,
                    type_of(kind, "deleted"),
                    id_,
                    ADMIN_ACTOR,
                    external_id=external,
                    version=version,
                )
                for kind, id_, external, version in rows
            ]
        )
    for kind in sorted(set(kinds)):
        yield Statement(COUNT, (tenant, kind, 0, -kinds.count(kind)))
    if len(kinds) < batch:
        yield Statement("DELETE FROM resource_count WHERE tenant = ?", (tenant,))
        yield Statement("UPDATE connection SET tenant = NULL WHERE tenant = ?", (tenant,))
        yield Statement("DELETE FROM tenant WHERE pk = ?", (tenant,))
        yield record(ADMINISTRATION, now, "tenant.purge", name, ADMIN_ACTOR)
    return len(kinds)


def _read_state(
    namespace: str, name: str, desired: PutConnection | None, now: str
) -> Generator[Statement, Sequence[Row], ConnectionState]:
    connection = yield from _load(namespace, name, now)
    tenant = connection.tenant if connection else None
    others = yield Statement(_SIBLING, (tenant.pk, namespace, name)) if tenant else _NOTHING
    if desired is None:
        return ConnectionState(namespace, name, connection, is_last_of_tenant=not others)
    rows = yield Statement(
        f"SELECT {_TENANT} FROM tenant t WHERE t.namespace = ? AND t.name = ?", (namespace, desired.tenant)
    )
    wanted_tenant = StoredTenant(*rows[0]) if rows else None
    siblings = (
        yield Statement(_WRITING_SIBLING, (wanted_tenant.pk, namespace, name)) if wanted_tenant else _NOTHING
    )
    return ConnectionState(
        namespace,
        name,
        connection,
        is_last_of_tenant=not others,
        desired_tenant=wanted_tenant,
        sibling=f"{siblings[0][0]}/{siblings[0][1]}" if siblings else None,
        holders=(yield from _holders(desired)),
        client_id_holder=(yield from _client_id_holder(namespace, name, desired)),
        revoked_before=(yield from _latest_mark(connection, wanted_tenant)),
    )


_NOTHING: Final = Statement("SELECT 1 WHERE 1 = 0")


def _holders(desired: PutConnection) -> TransactionScript[tuple[StoredCredential, ...]]:
    if not desired.credentials:
        return ()
    marks = ", ".join("?" * len(desired.credentials))
    ids = tuple(credential.id for credential in desired.credentials)
    digests = tuple(bytes.fromhex(credential.digest) for credential in desired.credentials)
    rows = yield Statement(
        f"{_CREDENTIAL} WHERE k.id IN ({marks}) OR k.digest IN ({marks})", (*ids, *digests)
    )
    return tuple(StoredCredential(*row) for row in rows)


def _client_id_holder(namespace: str, name: str, desired: PutConnection) -> TransactionScript[str | None]:
    if desired.oauth_client is None:
        return None
    rows = yield Statement(
        "SELECT namespace, name FROM connection WHERE client_id = ? AND NOT (namespace = ? AND name = ?)",
        (desired.oauth_client.client_id, namespace, name),
    )
    return f"{rows[0][0]}/{rows[0][1]}" if rows else None


def _latest_mark(
    connection: StoredConnection | None, tenant: StoredTenant | None
) -> TransactionScript[str | None]:
    """Of a connection and of all that have a tenant: a token that opened it must not come back by another one."""
    marks = [connection.revoked_before] if connection is not None else []
    if tenant is not None:
        [[latest]] = yield Statement(
            "SELECT max(revoked_before) FROM connection WHERE tenant = ?", (tenant.pk,)
        )
        marks.append(latest)
    return max((mark for mark in marks if mark is not None), default=None)


def _load(namespace: str, name: str, now: str) -> TransactionScript[StoredConnection | None]:
    rows = yield Statement(f"{_CONNECTION} WHERE c.namespace = ? AND c.name = ?", (namespace, name))
    if not rows:
        return None
    pk = rows[0][0]
    unrevoked = yield Statement(_UNREVOKED, (pk,))
    revoked = yield Statement(_NEWEST_REVOKED, (pk, now, KEPT_TOMBSTONES + 1))
    return _stored(rows[0], [*unrevoked, *revoked])


def _stored(row: Row, credentials: Sequence[Row]) -> StoredConnection:
    pk, namespace, name, revision, state, access, owner_uid, *row = row
    revoked_before, client_id, seconds, refusal, *tenant = row
    return StoredConnection(
        pk,
        namespace,
        name,
        revision,
        state,
        access,
        owner_uid,
        revoked_before,
        None if client_id is None else OAuthClient(client_id=client_id, access_token_seconds=seconds),
        refusal,
        StoredTenant(*tenant) if tenant[0] is not None else None,
        tuple(
            sorted(
                (StoredCredential(*credential) for credential in credentials),
                key=lambda credential: (credential.issued_at, credential.id),
            )
        ),
    )


def _answer(stored: StoredConnection, now: str) -> Connection:
    tenant = stored.tenant
    purging = tenant is not None and tenant.state == "purging"
    shown = tenant if stored.exists else None
    marks = (stored.revoked_before, low_water_mark(stored.credentials, now))
    revoked_before = max((mark for mark in marks if mark is not None), default=None)
    return Connection(
        namespace=stored.namespace,
        name=stored.name,
        exists=stored.exists,
        revision=stored.revision,
        now=from_text(now),
        tenant=shown.name if shown else None,
        access=stored.access if stored.exists else None,
        settings=parse_settings(shown.settings) if shown else None,
        settings_hash=shown.settings_hash if shown else None,
        credentials=tuple(
            _status(credential)
            for credential in stored.credentials
            if credential.revoked_at is None and not credential.ended(now)
        ),
        revoked=tuple(
            credential.id
            for credential in stored.credentials
            if credential.revoked_at is not None
            and credential.expires_at > now
            and (revoked_before is None or credential.issued_at > revoked_before)
        ),
        revoked_before=None if revoked_before is None else from_text(revoked_before),
        resources=tenant.users if tenant and (shown or purging) else 0,
        oauth_client=stored.oauth_client if stored.exists else None,
        last_refusal=TokenRefusal.model_validate_json(stored.last_refusal)
        if stored.exists and stored.last_refusal
        else None,
        purging=purging,
        owner_uid=(stored.owner_uid or "") if stored.exists else "",
        namespace_uid=(shown.namespace_uid or "") if shown else "",
    )


def _status(credential: StoredCredential) -> CredentialStatus:
    return CredentialStatus(
        id=credential.id,
        kind=credential.kind,
        digest=credential.digest.hex(),
        issued_at=from_text(credential.issued_at),
        expires_at=from_text(credential.expires_at),
        retires_at=from_text(credential.retires_at) if credential.retires_at else None,
        last_used_at=from_text(credential.last_used_at) if credential.last_used_at else None,
        user_agent=credential.user_agent,
        last_inspected_at=from_text(credential.inspected_at) if credential.inspected_at else None,
        trust=None
        if credential.trust is None
        else WorkloadIdentityTrust.model_validate_json(credential.trust),
    )
