"""What Entra holds of a SCIM endpoint: keys, masks, PUT of secrets, PATCH of connectivity parameters."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from entra_standin.graph.behaviour import Behaviour, SecretsPut
from entra_standin.graph.errors import GraphError, bad_request

KEYS: Final = frozenset(
    {
        "None", "UserName", "Password", "SecretToken", "AppKey", "BaseAddress", "ClientIdentifier",
        "ClientSecret", "SingleSignOnType", "Sandbox", "Url", "Domain", "ConsumerKey", "ConsumerSecret",
        "TokenKey", "TokenExpiration", "Oauth2AccessToken", "Oauth2AccessTokenCreationTime",
        "Oauth2RefreshToken", "SyncAll", "InstanceName", "Oauth2ClientId", "Oauth2ClientSecret", "CompanyId",
        "UpdateKeyOnSoftDelete", "SynchronizationSchedule", "SystemOfRecord", "SandboxName", "EnforceDomain",
        "SyncNotificationSettings", "SkipOutOfScopeDeletions", "Oauth2AuthorizationCode", "Oauth2RedirectUri",
        "ApplicationTemplateIdentifier", "Oauth2TokenExchangeUri", "Oauth2AuthorizationUri",
        "AuthenticationType", "Server", "PerformInboundEntitlementGrants", "HardDeletesEnabled",
        "SyncAgentCompatibilityKey", "SyncAgentADContainer", "ValidateDomain", "TestReferences",
        "ConnectionString",
    }
)  # fmt: skip
"""Microsoft Graph: resource synchronizationSecretKeyStringValuePair."""
SECRET_KEYS: Final = frozenset(
    {
        "Password", "SecretToken", "AppKey", "ClientSecret", "ConsumerSecret", "TokenKey", "Oauth2AccessToken",
        "Oauth2RefreshToken", "Oauth2ClientSecret", "Oauth2AuthorizationCode", "ConnectionString",
    }
)  # fmt: skip
"""Their values come back as one asterisk (the Terraform provider looks for it)."""
CLIENT_CREDENTIALS: Final = "OAuth2ClientCredentialsGrant"
SECRET_TOKEN: Final = "AuthenticationToken"
LOCATION: Final = "CredentialLocationInRequest"
"""Stored by the beta alone; no key of ``secrets`` and of ``validateCredentials``."""
_BEARER: Final = frozenset({"SecretToken"})
_OAUTH: Final = frozenset({"Oauth2ClientId", "Oauth2ClientSecret", "Oauth2TokenExchangeUri", LOCATION})
_CONNECTIVITY: Final = {
    key[0].lower() + key[1:]: key for key in ("AuthenticationType", "BaseAddress", *sorted(_BEARER | _OAUTH))
}
"""The beta's lower-camel names, and what they are stored as."""
_GOVERNMENT_BYTES: Final = 1024

Credentials = Mapping[str, str]
"""Values by key."""


def pairs(body: Any, name: str = "value") -> dict[str, str]:
    """Keys and values of a body of the form ``{name: [{"key": ..., "value": ...}]}``. Raises ``GraphError``."""
    items = body.get(name) if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise bad_request(f"The property '{name}' is required and must be a collection.")
    found: dict[str, str] = {}
    for item in items:
        key = item.get("key") if isinstance(item, dict) else None
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(key, str) or not isinstance(value, str | None):
            raise bad_request("Each entry needs a key and a value, which are strings.")
        found[key] = value or ""
    return found


def check_keys(keys: Iterable[str]) -> None:
    """Raise 500 ``InternalError`` for a key that the enumeration lacks."""
    for key in keys:
        if key not in KEYS:
            raise GraphError(500, "InternalError", f"Requested value '{key}' was not found.")


def masked(held: Credentials, behaviour: Behaviour) -> list[dict[str, str]]:
    """What GET of ``secrets`` shows."""
    hidden = KEYS if behaviour.masks_everything else SECRET_KEYS
    return [
        {"key": key, "value": "*" if key in hidden else value} for key, value in held.items() if key in KEYS
    ]


def after_put(held: Credentials, sent: Credentials, behaviour: Behaviour, template_id: str) -> dict[str, str]:
    """What is held after a PUT of ``secrets``.

    Raises:
        GraphError: an unknown key, ``NotInAllowList``, "" for SyncNotificationSettings, or too much for US Gov.
    """
    check_keys(sent)
    if sent.get("SyncNotificationSettings") == "":
        raise bad_request("The value of SyncNotificationSettings is not a valid JSON object.")
    allowed = template_id != "isvonboarding" and not behaviour.refuses_token_exchange_uri
    if sent.get("Oauth2TokenExchangeUri") and not allowed:
        raise bad_request("The key Oauth2TokenExchangeUri is not in the allow list.", "NotInAllowList")
    if behaviour.secrets_put is SecretsPut.DROP:
        return dict(held)
    if behaviour.secrets_put is SecretsPut.DROP_INCOMPLETE and not {
        "SyncAll",
        "SyncNotificationSettings",
    } <= set(sent):
        return dict(held)
    before = {} if behaviour.secrets_put is SecretsPut.REPLACE else held
    return _fitting({**before, **sent}, behaviour)


def after_patch(held: Credentials, sent: Credentials, behaviour: Behaviour) -> dict[str, str]:
    """What is held after a PATCH of the beta's ``connectivityParameters``.

    Raises:
        GraphError: a key that is none of these, keys of both ways to sign in, an unknown way, too much for US Gov.
    """
    for key in sent:
        if key not in _CONNECTIVITY:
            raise bad_request(f"The connectivity parameter '{key}' is not supported.")
    named = {_CONNECTIVITY[key]: value for key, value in sent.items()}
    way = named.get("AuthenticationType", held.get("AuthenticationType"))
    if way not in (CLIENT_CREDENTIALS, SECRET_TOKEN):
        raise bad_request("The connectivity parameter 'authenticationType' is missing or not supported.")
    others = _BEARER if way == CLIENT_CREDENTIALS else _OAUTH
    if others & set(named):
        raise bad_request(f"A connectivity parameter does not belong to the authentication type '{way}'.")
    if way == CLIENT_CREDENTIALS and named.get(LOCATION, "Header") not in ("Header", "Body"):
        raise bad_request("Supported CredentialLocationInRequest is required")
    return _fitting({**held, **named}, behaviour)


def _fitting(held: Credentials, behaviour: Behaviour) -> dict[str, str]:
    """Without the keys that "" deletes; refused when the US Government cloud has no place for it."""
    kept = {key: value for key, value in held.items() if value}
    if behaviour.us_government:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in kept.items())
        if size > _GOVERNMENT_BYTES:
            raise bad_request("The credentials exceed the storage limit of 1 KB.")
    return kept
