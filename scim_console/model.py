"""What the console shows, and what it asks for it: records and protocols, without behaviour.

Two keep them: ``kubectl scim console`` by kubectl and the SCIM service's public API, ``scim-api console`` by a database.
All calls block; they are made in threads. Texts are as others wrote them: the pages escape them.
"""

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, Literal, Protocol

ON_PURPOSE: Final = frozenset({"Off", "ValidateOnly", "NothingToHandOver"})
"""Reasons of HandedOver that the spec asks for."""
IN_PROGRESS: Final = frozenset({"NotChecked", "NotPublished", "NotRun", "Pending", "Saved"})
"""Reasons of HandedOver and Provisioning: what they tell of is to come yet."""


class Missing(Exception):
    """There is no such thing."""


class Denied(Exception):
    """Who looks lacks a right; the message names it and says what to do."""


class Unreachable(Exception):
    """The source does not answer; the message says what to look at."""


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """A token, client secret or trust in its time: which, never what."""

    id: str
    kind: str
    """``BearerToken``, ``ClientSecret`` or ``WorkloadIdentity``."""
    state: str
    """``Active``, ``Superseded`` and so on, as a ScimToken's status has it."""
    issued_at: datetime | None
    superseded_at: datetime | None
    ends_at: datetime | None
    last_used_at: datetime | None
    """By whom it was issued for."""
    last_inspected_at: datetime | None = None
    """By a person, with ``kubectl scim`` or the console."""


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """A condition of Kubernetes."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something that needs attention."""

    severity: Literal["error", "warning"]
    subject: str
    message: str
    command: str | None
    """To type next."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """An Event of Kubernetes."""

    at: datetime | None
    type: str
    """``Normal`` or ``Warning``."""
    reason: str
    message: str
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of the portal's form, as Microsoft names it."""

    name: str
    value: str = dataclasses.field(repr=False)
    is_secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A ScimToken, or a connection of a database without Kubernetes."""

    namespace: str
    name: str
    tenant: str
    auth_type: str
    is_read_only: bool
    is_suspended: bool
    secret_name: str | None
    """None without Kubernetes."""
    endpoint: str | None
    next_rotation: datetime | None
    credentials: Sequence[Credential]
    conditions: Sequence[Condition]
    problems: Sequence[Problem]
    """The worst first."""
    entra: Mapping[str, Any]
    """``status.entra`` of a ScimToken: the hand-over and the provisioning job. Empty without."""
    auth_name: str | None = None
    """The choice under "Authentication method" in the portal."""
    form: Sequence[str] = ()
    """Names of what ``Source.fields`` reads, in the portal's order: known without reading any of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A line of ``kubectl scim doctor``."""

    name: str
    outcome: Literal["passed", "failed", "not checkable"]
    message: str
    remedy: str | None
    """What to do; None when it passed."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResourcePage:
    """Users or groups as SCIM sends them (RFC 7644, section 3.4.2)."""

    total: int
    resources: Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which changes; None: any."""

    about: str | None = None
    """Id of a user or group: its changes, and the memberships that it came to and lost."""
    external_id: str | None = None
    """Of somebody who was deleted."""
    credential: str | None = None
    """Id of the one that made them."""
    types: frozenset[str] = frozenset()
    """Such as ``user.created``; empty: all."""
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    """The ``next`` of the page before."""
    limit: int = 100


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryPage:
    """Changes, the newest first, each as the feed has it (docs/reference.md)."""

    changes: Sequence[Mapping[str, Any]]
    next: str | None
    """For older ones; None: there are none."""


class Directory(Protocol):
    """The people of one tenant. Each call raises ``Denied`` and ``Unreachable``; reading one also ``Missing``."""

    def users(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Users whom a SCIM filter matches, by userName; all of them may come as they were created.

        ``start_index`` begins at 1. Raises ``ValueError``: bad filter.
        """

    def groups(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Groups without their members, by displayName, likewise."""

    def user(self, id: str) -> Mapping[str, Any]:
        """One user."""

    def group(self, id: str) -> Mapping[str, Any]:
        """One group with its members."""

    def history(self, query: HistoryQuery) -> HistoryPage:
        """What happened, the newest first."""

    def follow(self, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
        """Changes from now on, each when it is there, until ``stop`` is set."""


class Source(Protocol):
    """What there is to look at. Each call raises ``Denied`` and ``Unreachable``; what names one also ``Missing``."""

    noun: str
    """What a row is called: ``ScimToken`` or ``connection``."""
    apply: str | None
    """The command that applies a manifest from its input here; None: there is none."""
    doctor: str | None
    """The command that checks the same in a terminal, likewise."""
    place: str
    """What is looked at, for the page's head: a context and namespace, or a database."""

    def tokens(self) -> Sequence[Token]:
        """All of them."""

    def token(self, namespace: str, name: str) -> Token:
        """One of them."""

    def fields(self, namespace: str, name: str) -> Sequence[Field]:
        """What to paste where."""

    def events(self, namespace: str, name: str) -> Sequence[Event]:
        """What Kubernetes remembers, the newest first."""

    def directory(self, namespace: str, name: str) -> AbstractContextManager[Directory]:
        """The tenant's people, until the block ends."""

    def checks(self) -> Iterator[Check]:
        """What ``doctor`` checks, each when it is done."""

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Something each time that a token may have changed, until ``stop`` is set."""
