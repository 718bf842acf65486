"""Who calls the cloud in tests: signs in with a secret, and asks Graph."""

from typing import Any

import httpx

from entra_standin.graph import Application, Caller, Job, MicrosoftCloud

SCOPE = "https://graph.microsoft.com/.default"
SECRET = "a-client-secret-that-no-message-may-show"


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, *, seconds: float = 0, hours: float = 0, days: float = 0) -> None:
        self.now += seconds + 3600 * hours + 86400 * days


class GraphClient:
    """One application's calls, with the token that it got first."""

    def __init__(self, cloud: MicrosoftCloud, caller: Caller, tenant_id: str | None = None) -> None:
        self.cloud, self.caller, self.tenant_id = cloud, caller, tenant_id or caller.home
        self.http = httpx.Client(trust_env=False, timeout=10)
        self.headers: dict[str, str] = {}

    def token(self, **form: str) -> httpx.Response:
        """What the token endpoint says to these fields in the place of a client secret's."""
        sent = {"client_id": self.caller.client_id, "scope": SCOPE, "grant_type": "client_credentials"}
        if "client_assertion" not in form:
            sent["client_secret"] = SECRET
        return self.http.post(self.cloud.token_url(self.tenant_id), data={**sent, **form})

    def sign_in(self) -> "GraphClient":
        answer = self.token()
        assert answer.status_code == 200, answer.text
        self.headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        return self

    def call(
        self, method: str, path: str, body: Any = None, *, version: str = "v1.0", **options: str
    ) -> httpx.Response:
        url = f"{self.cloud.graph_url}/{version}{path}"
        return self.http.request(method, url, json=body, headers=self.headers, params=options or None)

    def sync(
        self, application: Application, method: str, path: str, body: Any = None, *, version: str = "v1.0"
    ) -> httpx.Response:
        """Below ``synchronization`` of an application."""
        prefix = f"/servicePrincipals/{application.service_principal_id}/synchronization"
        return self.call(method, prefix + path, body, version=version)

    def status(self, application: Application, job: Job) -> Any:
        answer = self.sync(application, "GET", f"/jobs/{job.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["status"]


def pairs(**values: str) -> list[dict[str, str]]:
    """As bodies have them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
