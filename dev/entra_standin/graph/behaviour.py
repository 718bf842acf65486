"""Where sources contradict each other, or Microsoft has several answers: which one this cloud gives."""

import dataclasses
import enum

from entra_standin.quarantine import OUTAGE_CYCLES


class SecretsPut(enum.StrEnum):
    """What PUT .../synchronization/secrets does with keys that it does not name."""

    MERGE = "merge"
    """They stay; "" deletes (Infisical, the Terraform provider)."""
    REPLACE = "replace"
    """They go."""
    DROP_INCOMPLETE = "drop incomplete"
    """204, and nothing is stored unless SyncAll and SyncNotificationSettings are there (an older run-book)."""
    DROP = "drop"
    """204, and nothing is stored."""


@dataclasses.dataclass
class Behaviour:
    """May be changed at any time."""

    secrets_put: SecretsPut = SecretsPut.MERGE
    masks_everything: bool = False
    """GET of secrets shows an asterisk in the place of every value, secret or not."""
    refuses_token_exchange_uri: bool = False
    """PUT of ``Oauth2TokenExchangeUri``: 400 ``NotInAllowList``, whichever the template. ``isvonboarding`` always."""
    us_government: bool = False
    """All that is stored together may have 1 KB."""
    nested_errors: bool = True
    """``validateCredentials`` puts a JSON document into ``message``; else a sentence."""
    owner_rights: bool = True
    """``Application.ReadWrite.OwnedBy`` is enough for an owner of the service principal."""
    restart_refuses_owners: bool = False
    """``restart`` answers 401 to owners all the same (a known fault)."""
    missing_right_status: int = 401
    """Or 403."""
    on_demand_needs_ownership: bool = False
    """``provisionOnDemand`` answers 401 to everybody who does not own service principal and application."""
    missing_consent_code: int = 7000229
    """Or 700016: what the login says of a multi-tenant application in a tenant without its service principal."""
    units_per_ten_seconds: int = 3500
    """Requests of an application in a tenant; 3,500 is for a small tenant."""
    on_demand_per_ten_seconds: int = 5
    log_per_ten_seconds: int = 5
    sends_retry_after: bool = True
    """Whether a 429 of these limits carries ``Retry-After``."""
    outage_cycles: int = OUTAGE_CYCLES
    """So many cycles in a row without an answer of the SCIM endpoint quarantine a job."""
    shows_in_progress: bool = False
    """``status.code`` is ``InProgress`` while a cycle runs, which no page of the API names."""
    access_token_seconds: int = 3599
