"""One provisioning cycle as Entra runs it, against the endpoint with the Secret's token."""

from typing import Any, Final
from urllib.parse import quote

import httpx

from demo.console import Console, DemoFailed, check

_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_FLAG: Final = "aadOptscim062020"
_PEOPLE: Final = (
    ("ada", "Ada Lovelace", "Analyst", "Engines", "GB"),
    ("grace", "Grace Hopper", "Rear Admiral", "Compilers", "US"),
    ("edsger", "Edsger Dijkstra", "Professor", "Algorithms", "NL"),
    ("katherine", "Katherine Johnson", "Mathematician", "Trajectories", "US"),
    ("konrad", "Konrad Zuse", "Engineer", "Relays", "DE"),
    ("radia", "Radia Perlman", "Fellow", "Networks", "US"),
)
_DIALECTS: Final[dict[str, dict[str, Any]]] = {
    "without the flag": {
        "Operations": [
            {"op": "Replace", "path": "title", "value": "Countess"},
            {"op": "Add", "path": f"{_ENTERPRISE}:department", "value": "Notes"},
        ]
    },
    f"with {_FLAG}": {
        "Operations": [
            {"op": "replace", "value": {"title": "Countess", f"{_ENTERPRISE}:department": "Notes"}}
        ]
    },
}
"""The same change in both of Entra's PATCH dialects."""


def body(name: str, shown: str, title: str, department: str, country: str) -> dict[str, Any]:
    """A create body with the six attributes that Entra's mapping sends."""
    return {
        "schemas": [_USER, _ENTERPRISE],
        "userName": f"{name}@contoso.example",
        "active": True,
        "displayName": shown,
        "emails": [{"type": "work", "value": f"{name}@contoso.example", "primary": True}],
        "addresses": [{"type": "work", "country": country}],
        "title": title,
        _ENTERPRISE: {"department": department},
    }


def tell(console: Console, endpoint: str, token: str) -> None:
    """The whole cycle, one line a step.

    Raises:
        DemoFailed: at an answer that Entra would not take.
    """
    with httpx.Client(
        headers={"authorization": f"Bearer {token}", "content-type": "application/scim+json"},
        timeout=10,
        trust_env=False,
    ) as client:
        _Cycle(console, client, endpoint).run()


class _Cycle:
    def __init__(self, console: Console, client: httpx.Client, endpoint: str) -> None:
        self._console, self._client, self._endpoint = console, client, endpoint

    def run(self) -> None:
        found = self._find("6f1f6e0c-5f3a-4d3a-8f0e-3f6d8c1f9a77")
        check(found == [], "Test Connection found somebody")
        self._console.step("Test Connection: 200, nobody found, as it must be")
        ids = [self._create(body(*person)) for person in _PEOPLE]
        self._console.step(f"people created: {len(ids)}")
        for user, (dialect, change) in zip(ids, _DIALECTS.items(), strict=False):
            self._patch(user, dialect, change)
        self._disable(ids[2], body(*_PEOPLE[2])["userName"])
        self._delete(ids[3], body(*_PEOPLE[3])["userName"])
        self._resend(ids[0], body(*_PEOPLE[0]))
        self._without_mail()
        left = self._ask(200, "GET", "/Users")["totalResults"]
        check(left == len(ids) - 1, f"{left} people are there in the end instead of {len(ids) - 1}")
        self._console.step(f"people in the directory now: {left}")

    def _ask(self, expected: int, method: str, path: str, content: Any = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, f"{self._endpoint}{path}", json=content)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{method} {path}: {type(error).__name__}") from None
        check(
            answer.status_code == expected,
            f"{method} {path} answered {answer.status_code} instead of {expected}: {answer.text[:500]}",
        )
        decoded: dict[str, Any] = answer.json() if answer.content else {}
        return decoded

    def _find(self, mail: str) -> list[dict[str, Any]]:
        wanted = f'emails[type eq "work"].value eq "{mail}"'
        found: list[dict[str, Any]] = self._ask(200, "GET", f"/Users?filter={quote(wanted)}")["Resources"]
        return found

    def _create(self, user: dict[str, Any]) -> str:
        check(self._find(user["userName"]) == [], f"{user['userName']} is there before it was created")
        return str(self._ask(201, "POST", "/Users", user)["id"])

    def _patch(self, user: str, dialect: str, change: dict[str, Any]) -> None:
        flag = f"?{_FLAG}" if _FLAG in dialect else ""
        self._ask(200, "PATCH", f"/Users/{user}{flag}", {"schemas": [_PATCH], **change})
        now = self._ask(200, "GET", f"/Users/{user}")
        got = now.get("title"), now.get(_ENTERPRISE, {}).get("department")
        check(got == ("Countess", "Notes"), f"after a PATCH {dialect}, title and department are {got}")
        self._console.step(f"patched in Entra's dialect {dialect}: title and department are as sent")

    def _disable(self, user: str, mail: str) -> None:
        change = {"op": "Replace", "path": "active", "value": "False"}
        self._ask(200, "PATCH", f"/Users/{user}", {"schemas": [_PATCH], "Operations": [change]})
        states = [item["active"] for item in self._find(mail)]
        check(states == [False], f"a disabled user is found with active {states}")
        self._console.step("disabled: still found, with active false")

    def _delete(self, user: str, mail: str) -> None:
        self._ask(204, "DELETE", f"/Users/{user}")
        self._ask(404, "GET", f"/Users/{user}")
        check(self._find(mail) == [], "a deleted user is still found")
        self._console.step("deleted: 404 from now on")

    def _resend(self, user: str, sent: dict[str, Any]) -> None:
        self._ask(409, "POST", "/Users", sent)
        ids = [item["id"] for item in self._find(sent["userName"])]
        check(ids == [user], f"a create sent twice left {len(ids)} people")
        self._console.step("a create sent twice: 409, and no duplicate")

    def _without_mail(self) -> None:
        sent = {**body("nobody", "No Mail", "Ghost", "None", "FR"), "emails": [{"type": "work", "value": ""}]}
        detail = self._ask(422, "POST", "/Users", sent)["detail"]
        self._console.step(f"an empty e-mail is refused: 422, {detail}")
