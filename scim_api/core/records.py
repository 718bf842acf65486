"""What travels between the core, the store and the protocol: plain records, no behaviour."""

import dataclasses
import enum
from typing import Literal

ResourceKind = Literal["User", "Group"]


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A resource as the core hands it over: the body to publish and the keys to find it by."""

    doc: str
    """JSON object text of the attributes as sent, without ``id`` and ``meta``; it starts with
    ``{"schemas":`` so that both can be spliced in."""
    keys: str
    """JSON object text of the comparable form (see ``scim_api.core.keys``): what filters look at."""
    match_key: str | None
    """Comparable form of the matching attribute; unique for the tenant and kind."""
    name_key: str
    """Comparable ``userName`` or ``displayName``; unique for the tenant and kind."""
    external_key: str | None = None
    """``externalId`` (case exact); unique only where it is the matching attribute."""
    email_keys: tuple[str, ...] = ()
    """Comparable values of all work e-mails, without repetition."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A stored resource."""

    id: str
    """A UUID in its canonical form."""
    version: int
    created: str
    modified: str
    doc: str


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """A compiled filter: SQL of the driver's dialect over the columns of ``resource`` with alias ``r``.

    Parameters are bound, in order; a placeholder is ``?`` in the text for both databases, and the
    PostgreSQL driver numbers them.
    """

    sql: str
    parameters: tuple[str | int | float | bool, ...] = ()


class Lookup(enum.StrEnum):
    """The equality look-ups that Entra sends, each answered by an index."""

    ID = "id"
    NAME = "name"
    EXTERNAL = "external"
    WORK_EMAIL = "workEmail"
