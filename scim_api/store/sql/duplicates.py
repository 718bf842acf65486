"""What is to be unique and is not: what an earlier release let in, and names that a new form of keys made equal."""

from typing import Final

from scim_api.contract.admin import Matching
from scim_api.core.types import ResourceKind
from scim_api.store.duplicate import Duplicate
from scim_api.store.sql.rows import parse_settings
from scim_api.store.sql.transaction_script import Statement, TransactionScript

_TENANTS: Final = (
    "SELECT pk, namespace, name, settings FROM tenant WHERE state = 'active' ORDER BY namespace, name"
)
_EMAILS: Final = """
SELECT e.kind, e.email_key, r.id FROM (
    SELECT kind, email_key FROM resource_email WHERE tenant = ? GROUP BY kind, email_key HAVING count(*) > 1
) AS shared JOIN resource_email e ON e.tenant = ? AND e.kind = shared.kind AND e.email_key = shared.email_key
JOIN resource r ON r.pk = e.resource ORDER BY e.kind, e.email_key, r.pk"""
_NAMES: Final = """
SELECT c.kind, c.key, r.id FROM key_conflict c JOIN resource r
    ON r.tenant + 0 = c.tenant AND r.kind = c.kind AND (r.name_key = c.key OR r.pk = c.resource)
WHERE c.tenant = ? AND c.attribute = 'name' ORDER BY c.kind, c.key, r.pk"""


def find_duplicates() -> TransactionScript[tuple[Duplicate, ...]]:
    """Resources that share a value which is unique in their tenant, by tenant."""
    found: list[Duplicate] = []
    tenants = yield Statement(_TENANTS)
    for pk, namespace, name, settings in tenants:
        groups: dict[tuple[ResourceKind, str, str], list[str]] = {}
        rows = yield Statement(_NAMES, (pk,))
        for kind, key, identity in rows:
            groups.setdefault((kind, "userName" if kind == "User" else "displayName", key), []).append(
                identity
            )
        if parse_settings(settings).matching is Matching.WORK_EMAIL:
            rows = yield Statement(_EMAILS, (pk, pk))
            for kind, key, identity in rows:
                groups.setdefault((kind, 'emails[type eq "work"].value', key), []).append(identity)
        for (kind, attribute, key), ids in groups.items():
            tenant = f"{namespace}/{name}"
            found.append(Duplicate(tenant, kind, attribute, key, tuple(dict.fromkeys(ids))))
    return tuple(found)
