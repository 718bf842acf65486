"""Everything that can be configured, typed, and refused at start-up when it is wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from scim_api.contract.oauth import LOGIN_HOSTS
from scim_api.core.limits import MAX_BODY
from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.paths import SCIM_PATH
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.store.change_log import CHANGE_RETENTION

DEFAULT_DATABASE_URL = "sqlite:///scim.db"
PREFIX: Final = "SCIM_API_"
"""Of the environment variables."""


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to write."""


class ApiSettings(BaseModel):
    """Settings of ``scim-api``; each is an environment variable ``SCIM_API_<NAME>`` or an option: see ``load``."""

    model_config = ConfigDict(extra="ignore", validate_default=True)

    database_url: str = DEFAULT_DATABASE_URL
    """``sqlite:///file``, ``postgresql://user@host/database``, or ``file:///path`` of a file that holds one."""
    host: str = "127.0.0.1"
    """Address of the public port: ``/scim/v2``. ``::`` for all, of IPv4 too."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    internal_host: str = "127.0.0.1"
    """Address of the internal port: ``/admin``, ``/healthz``, ``/readyz``, ``/metrics``. Never expose it."""
    internal_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Left out, there is no internal port, which is what stand-alone use wants. That of ``deliver`` has no ``/admin``."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """``/metrics`` at the internal address, apart from ``/admin``: for a Prometheus that is to reach nothing else."""
    operator_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TLS at the internal address, for the operator alone: ``/admin/v1`` moves here from the internal port, and it asks
    ``/scim/v2`` here with the tokens that it tries out."""
    operator_tls_dir: Path | None = None
    """Directory with ``tls.crt`` and ``tls.key`` for ``operator_port`` (the operator's Secret)."""
    public_url: str | None = None
    """What clients use, up to and with ``/scim/v2``; default ``http://<host>:<port>/scim/v2``."""
    admin_keys_dir: Path | None = None
    """Directory with the operator's public keys ``<kid>.pem`` and ``installation-id`` (its ConfigMap)."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_seconds: Annotated[float, Field(gt=0, le=600)] = 8.0
    """How long requests in flight may take to end after SIGTERM."""
    max_connections: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """Connections at the public port at a time; the next one takes the place of the one that is idle longest."""
    head_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long request line and headers may take to arrive."""
    body_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """How long a body may take to arrive after its head, and a response to be read."""
    group_body_mib: Annotated[int, Field(ge=1, le=32)] = MAX_BODY // 2**20
    """MiB of a body at ``/Groups``: for clients that send whole groups. 8 to 16 for 100,000 members."""
    keys_hosts: str = ",".join(LOGIN_HOSTS)
    """From where keys that assertions are signed with may be fetched, with commas between: hosts, by HTTPS and at public
    addresses alone; or origins such as ``http://127.0.0.1:8099``, wherever they are."""
    keys_max_age_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    """How long such keys are used while they can't be fetched anew."""
    change_retention_days: Annotated[float, Field(ge=1, le=3650)] = CHANGE_RETENTION.days
    """How long the log of changes goes back. A follower that was away for longer takes a snapshot again."""

    deliver: bool = False
    """Whether ``serve`` delivers webhooks, too; with several replicas ``scim-api deliver`` is a process of its own."""
    webhook_key_file: Path | None = None
    """The dispatcher's private key, which opens signing secrets; for who creates webhooks its public half will do."""
    webhook_allowed_networks: str = ""
    """CIDRs with commas between: private networks that webhooks may be sent to, besides the internet."""
    webhook_allow_http: bool = False
    """Whether receivers in these networks may be sent webhooks in clear text."""

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        AllowedNetworks.read(value)
        return value

    @field_validator("keys_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        KeyHosts.read(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"write an absolute URL such as https://scim.example.com{SCIM_PATH}")
        path = parts.path.rstrip("/")
        if path not in ("", SCIM_PATH):
            raise ValueError(
                f"the service answers under {SCIM_PATH}: write https://{parts.netloc}{SCIM_PATH}"
            )
        return f"{parts.scheme}://{parts.netloc}{SCIM_PATH}"

    @model_validator(mode="after")
    def _operator_port_has_a_certificate(self) -> "ApiSettings":
        if (self.operator_port is None) != (self.operator_tls_dir is None):
            raise ValueError(
                "operator-port and operator-tls-dir belong together: give both (SCIM_API_OPERATOR_PORT and "
                "SCIM_API_OPERATOR_TLS_DIR) or neither"
            )
        return self

    @property
    def endpoint(self) -> str:
        """The SCIM base URL: what is pasted into Entra as Tenant URL."""
        if self.public_url:
            return self.public_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{SCIM_PATH}"


def load(**options: object) -> ApiSettings:
    """Settings from options (None means not given), then environment, then defaults.

    Raises:
        SettingsError: with one line per wrong setting.
    """
    if "SCIM_API_WORKERS" in os.environ:
        raise SettingsError(
            "SCIM_API_WORKERS is gone: a replica is one process. Remove it, and run more replicas instead (in the "
            "chart, api.replicas)"
        )
    try:
        given = {name: value for name, value in options.items() if value is not None}
        return ApiSettings.model_validate(_from_environment(os.environ) | given)
    except ValidationError as error:
        lines = [
            _line(item["loc"], item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines)) from None


def _from_environment(variables: Mapping[str, str]) -> dict[str, object]:
    """What environment variables say, by the name of the setting; whether they are in capitals does not matter.

    pydantic-settings would do the same. It takes a tenth of the time that ``serve`` takes to start, for sources that
    nobody uses here.
    """
    found = {name.upper(): value for name, value in variables.items()}
    names = {name: f"{PREFIX}{name.upper()}" for name in ApiSettings.model_fields}
    return {name: found[variable] for name, variable in names.items() if variable in found}


def _line(location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message
    name = str(location[0])
    return (
        f"{'.'.join(map(str, location))}: {message} "
        f"(option --{name.replace('_', '-')} or SCIM_API_{name.upper()})"
    )
