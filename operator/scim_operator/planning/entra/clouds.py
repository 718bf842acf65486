"""Where each of Microsoft's clouds has its login and Microsoft Graph, and for whom tokens are.

Hosts: Microsoft Graph, "National cloud deployments"; exchange audiences: Microsoft Entra, "Configure an application to
trust a managed identity".
"""

import dataclasses
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from scim_operator.api.entra import GraphCloud

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph, the same in each cloud."""


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoints:
    """Where one cloud is reached."""

    login: str
    """Base URL of the login, without a slash at its end."""
    graph: str
    """Base URL of Microsoft Graph, without a version."""
    scope: str
    """What an access token for Graph is asked for."""
    exchange_audience: str
    """Whom a token of a ServiceAccount has to be for, so that the login takes it."""

    def token_url(self, tenant_id: str) -> str:
        """The token endpoint of a tenant (OAuth 2.0, v2.0)."""
        return f"{self.login}/{quote(tenant_id, safe='')}/oauth2/v2.0/token"

    def admin_consent_url(self, tenant_id: str, client_id: str) -> str:
        """The page on which an administrator of the tenant consents to the application."""
        return f"{self.login}/{quote(tenant_id, safe='')}/adminconsent?client_id={quote(client_id, safe='')}"


def _cloud(login: str, graph: str, audience: str) -> Endpoints:
    return Endpoints(f"https://{login}", f"https://{graph}", f"https://{graph}/.default", audience)


_CLOUDS: Final[Mapping[GraphCloud, Endpoints]] = {
    GraphCloud.PUBLIC: _cloud(
        "login.microsoftonline.com", "graph.microsoft.com", "api://AzureADTokenExchange"
    ),
    GraphCloud.US_GOVERNMENT: _cloud(
        "login.microsoftonline.us", "graph.microsoft.us", "api://AzureADTokenExchangeUSGov"
    ),
    GraphCloud.US_GOVERNMENT_DOD: _cloud(
        "login.microsoftonline.us", "dod-graph.microsoft.us", "api://AzureADTokenExchangeUSGov"
    ),
    GraphCloud.CHINA: _cloud(
        "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn", "api://AzureADTokenExchangeChina"
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Clouds:
    """The clouds' endpoints, with an administrator's URLs in the place of Microsoft's where there are such."""

    login_url: str | None = None
    graph_url: str | None = None

    def endpoints(self, cloud: GraphCloud) -> Endpoints:
        """Where ``cloud`` is reached.

        At another Graph the scope is Graph's application id, the same in every cloud: a proxy's host is no name of
        Graph's, and the names of a cloud to come are not known here.
        """
        found = _CLOUDS[cloud]
        if self.login_url is not None:
            found = dataclasses.replace(found, login=self.login_url.rstrip("/"))
        if self.graph_url is not None:
            graph, scope = self.graph_url.rstrip("/"), f"{GRAPH_APP_ID}/.default"
            found = dataclasses.replace(found, graph=graph, scope=scope)
        return found
