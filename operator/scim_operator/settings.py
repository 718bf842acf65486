"""The operator's settings: typed, with defaults, and refused at start-up when they are wrong."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX: Final = "SCIM_OPERATOR_"
DEFAULT_NAMESPACE: Final = "scim-system"
NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Kubernetes mounts a pod's own namespace here."""
RENAMED: Final = {
    "SWEEP_BRAKE_COUNT": "DELETION_LIMIT_COUNT",
    "SWEEP_BRAKE_PERCENT": "DELETION_LIMIT_PERCENT",
    "ORPHAN_LIMIT_COUNT": "DELETION_LIMIT_COUNT",
    "ORPHAN_LIMIT_PERCENT": "DELETION_LIMIT_PERCENT",
    "RECHECK_SECONDS": "FULL_RECONCILE_SECONDS",
    "CATCH_UP_PER_SECOND": "STARTUP_RECONCILES_PER_SECOND",
    "LEASE_DEADLINE_SECONDS": "LEASE_RENEW_DEADLINE_SECONDS",
    "LEASE_RENEW_SECONDS": "LEASE_RENEW_PERIOD_SECONDS",
    "LEASE_RETRY_SECONDS": "LEASE_RETRY_PERIOD_SECONDS",
}
"""Old and new names of settings, without the prefix. An old name is refused: ignored, the default would apply."""


class SettingsError(Exception):
    """A setting is wrong; the message names each one and says what to write."""


def own_namespace() -> str:
    """The namespace this pod runs in; ``scim-system`` outside of a cluster."""
    try:
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


def _identity() -> str:
    """A name that no earlier process had, so that no process inherits a Lease by its name."""
    return f"{socket.gethostname()}-{os.urandom(4).hex()}"


def _absolute(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write an absolute URL such as https://scim.example.com/scim/v2")
    return value.rstrip("/")


def _protected(value: str) -> str:
    """Credentials go there: https, or http that does not leave the machine."""
    parts = urlsplit(value)
    is_web = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    if not is_web or parts.username is not None:
        raise ValueError(
            "write an absolute URL with a host name, without a user and a query, such as https://graph.microsoft.com"
        )
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("write https: credentials go there; http is for loopback alone")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Url = Annotated[str, AfterValidator(_absolute)]
ProtectedUrl = Annotated[str, AfterValidator(_protected)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
MetadataDomain = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=253)]
MIRRORING_TOOLS: Final = ("emberstack.com", "mittwald.de", "appscode.com", "clustersecret.io")
"""Domains of reflector, kubernetes-replicator, kubed and config-syncer, and ClusterSecret. Kubernetes' own domains are
not among them: none of its parts acts on the metadata of a Secret of type Opaque."""
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class OperatorSettings(BaseSettings):
    """Settings of ``scim-operator run``; each is an environment variable ``SCIM_OPERATOR_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    endpoint_url: Url
    """What goes into every Secret and from there into Entra as Tenant URL, up to and with ``/scim/v2``."""
    scim_url: Url | None = None
    """How the operator itself reaches the API's public port, to verify a token; default ``endpoint_url``."""
    admin_url: Url
    """The API's internal port, such as ``http://scim-api-internal:8081``. Never exposed."""
    api_tls_secret: (
        Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] | None
    ) = None
    """Secret in ``namespace`` that the operator keeps the API's certificate in, for TLS with it; both URLs above are
    https then, of one host. Left out, it makes none."""
    namespace: Namespace = Field(default_factory=own_namespace)
    """The operator's own namespace: its Lease, its admin key and the public half for the API."""
    watch_namespaces: Annotated[tuple[Namespace, ...], NoDecode] = ()
    """Comma-separated; empty means all namespaces."""
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    """How many ScimTokens are reconciled at the same time."""

    requested_rotation_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    """The least time between two rotations of a ScimToken that the annotation ``rotate`` asks for."""
    denied_secret_metadata: Annotated[tuple[MetadataDomain, ...], NoDecode] = MIRRORING_TOOLS
    """Comma-separated domains: labels and annotations with them, or with a domain below, are not put on Secrets
    whatever ``spec.secret`` says; empty denies none. A key without a domain is written as it is."""

    endpoint_check: bool = True
    """Whether ``endpoint_url`` is checked for the condition EndpointReachable; off where the cluster can't reach
    its own ingress."""
    endpoint_check_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300
    """How often; once for all ScimTokens together."""

    entra_check_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300
    """How often the provisioning job of each ScimToken with ``spec.entra`` is looked at in Microsoft Graph."""
    entra_workers: Annotated[int, Field(ge=1, le=256)] = 8
    """How many ScimTokens are handed over to Entra at the same time."""
    entra_login_url: ProtectedUrl | None = None
    """Base URL of Microsoft's login in the place of the one that follows from ``spec.entra.cloud``."""
    entra_graph_url: ProtectedUrl | None = None
    """Base URL of Microsoft Graph likewise, without a version."""
    entra_requests_per_second: Annotated[float, Field(gt=0, le=1000)] = 20
    """How many requests go to login and Graph per second, for all ScimTokens together."""

    webhook_check_seconds: Annotated[float, Field(ge=1, le=86_400)] = 30
    """How often the SCIM API is asked how the deliveries of ScimWebhooks do; not at all without any."""

    health_host: str = "127.0.0.1"
    """Address of ``/healthz``, ``/readyz`` and ``/metrics``; in a pod ``::``, for all of IPv6 and IPv4."""
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    """0 picks a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    identity: Annotated[str, Field(min_length=1, max_length=253)] = Field(default_factory=_identity)
    """This process's name in the Lease; unique to the process, or two would think they lead."""
    lease_name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")] = "scim-operator"
    lease_duration_seconds: Annotated[int, Field(ge=2, le=3600)] = 15
    """How long others wait after the holder's last sign of life before they take the Lease."""
    lease_renew_deadline_seconds: Seconds = 10
    """How long after its last renewal a holder still acts; below ``lease_duration_seconds``."""
    lease_renew_period_seconds: Seconds = 2
    """How often the holder renews."""
    lease_retry_period_seconds: Seconds = 0.5
    """How often a standby tries; a released Lease is taken within this time."""

    resync_seconds: Seconds = 600
    """How often everything is compared with the API's own pages: a lost database is rebuilt within it."""
    full_reconcile_seconds: Seconds = 21_600
    """Each ScimToken is reconciled at least this often, whatever the watch reported."""
    startup_reconciles_per_second: Annotated[float, Field(gt=0, le=10_000)] = 50
    """After a start or hand-over, how many ScimTokens without a difference are reconciled per second."""
    deletion_limit_count: Annotated[int, Field(ge=0)] = 5
    deletion_limit_percent: Annotated[float, Field(ge=0, le=100)] = 20
    """When more connections than both of these lose their ScimToken within a minute, their revocation waits."""
    deletion_hold_seconds: Annotated[float, Field(ge=0, le=2_592_000)] = 3600
    """How long it waits for a person; 0 never waits."""
    shutdown_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    """How long reconciles under way may take to end after SIGTERM."""

    @field_validator("watch_namespaces", "denied_secret_metadata", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in (piece.strip().rstrip("/") for piece in value.split(",")) if part)
        return value

    @model_validator(mode="after")
    def _lease_times_fit(self) -> "OperatorSettings":
        if self.lease_renew_deadline_seconds >= self.lease_duration_seconds:
            raise ValueError(
                f"{ENV_PREFIX}LEASE_RENEW_DEADLINE_SECONDS ({self.lease_renew_deadline_seconds:g}) must be below "
                f"{ENV_PREFIX}LEASE_DURATION_SECONDS ({self.lease_duration_seconds}), or two could lead at once"
            )
        if 2 * self.lease_renew_period_seconds > self.lease_renew_deadline_seconds:
            raise ValueError(
                f"{ENV_PREFIX}LEASE_RENEW_PERIOD_SECONDS ({self.lease_renew_period_seconds:g}) may be at most half of "
                f"{ENV_PREFIX}LEASE_RENEW_DEADLINE_SECONDS ({self.lease_renew_deadline_seconds:g}), or one lost renewal ends it"
            )
        return self

    @model_validator(mode="after")
    def _tls_urls_fit(self) -> "OperatorSettings":
        urls = [urlsplit(url) for url in (self.admin_url, self.scim_url or self.admin_url)]
        if self.api_tls_secret and {(url.scheme, url.hostname) for url in urls} != {
            ("https", urls[0].hostname)
        }:
            raise ValueError(
                f"{ENV_PREFIX}API_TLS_SECRET is set, so {ENV_PREFIX}ADMIN_URL and {ENV_PREFIX}SCIM_URL have to be "
                "https, and name the same host"
            )
        return self

    @property
    def admin_host(self) -> str:
        """The name or address of the API's internal Service."""
        return urlsplit(self.admin_url).hostname or ""

    @property
    def verification_url(self) -> str:
        """The SCIM base URL at which a new token is verified before it is published."""
        return self.scim_url or self.endpoint_url


def load(**options: object) -> OperatorSettings:
    """Settings from options (None means not given), then environment, then defaults.

    Raises:
        SettingsError: with one line per wrong setting.
    """
    given = {name: value for name, value in options.items() if value is not None}
    problems = _renamed_settings()
    settings: OperatorSettings | None = None
    try:
        settings = OperatorSettings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems += [_line(dict(item)) for item in error.errors(include_url=False)]
    if settings is None or problems:
        raise SettingsError("\n".join(problems))
    return settings


def _renamed_settings() -> list[str]:
    """A line for each old name in the environment, in upper or lower case, as settings are read."""
    present = {name.upper() for name in os.environ}
    return [
        f"{ENV_PREFIX}{old} is now {ENV_PREFIX}{new}: rename it"
        for old, new in RENAMED.items()
        if f"{ENV_PREFIX}{old}" in present
    ]


def _line(item: dict[str, object]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    location = item["loc"]
    if not isinstance(location, tuple) or not location:
        return message
    variable = f"{ENV_PREFIX}{str(location[0]).upper()}"
    if item["type"] == "missing":
        return f"{variable} is not set, and there is no default for it"
    return f"{variable}={item.get('input')!r}: {message}"
