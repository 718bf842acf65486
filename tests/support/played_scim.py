"""A SCIM service in memory that takes what Entra sends, and can be wrong on demand; for who judges its answers."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from kubectl_scim.scim_service import Answer

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_EQ = re.compile(r'(?P<path>[\w.]+(?:\[type eq "\w+"\]\.\w+)?) eq "(?P<value>[^"]*)"')
_CHECK = re.compile(r'id eq "([^"]*)" and members\[value eq "([^"]*)"\]')


class PlayedScim:
    """``send`` is a ``Connection.send``.

    Attributes:
        requests: method, path and body of each.
        wrong: answers in the place of its own, by method and the beginning of a path; called with the right answer.
        resources: all that there are, by path and id.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.wrong: dict[tuple[str, str], Callable[[Answer], Answer]] = {}
        self.resources: dict[str, dict[str, dict[str, Any]]] = {"Users": {}, "Groups": {}}
        self._number = 0

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        self.requests.append((method, path, body))
        assert path.startswith("/scim/v2/"), path
        below, _, _ = path.removeprefix("/scim/v2/").partition("?")
        kind, _, key = below.partition("/")
        answer = self._answer(method, kind, key, (query or {}).get("filter"), copy.deepcopy(body))
        for (wrong_method, beginning), instead in self.wrong.items():
            if method == wrong_method and below.startswith(beginning):
                return instead(answer)
        return answer

    def _answer(self, method: str, kind: str, key: str, filter: str | None, body: Any) -> Answer:
        there = self.resources[kind]
        if method == "POST":
            self._number += 1
            there[str(self._number)] = {
                **body,
                "id": str(self._number),
                "meta": {"created": "2026-11-30T09:00:00Z"},
            }
            return Answer(201, there[str(self._number)])
        if not key:
            found = [one for one in there.values() if _holds(one, filter or "")]
            return Answer(200, {"schemas": [_LIST], "totalResults": len(found), "Resources": found})
        if key not in there:
            return Answer(404, {"detail": "no such resource"})
        if method == "DELETE":
            del there[key]
            return Answer(204, None)
        if method == "PATCH":
            for operation in body["Operations"]:
                _apply(there[key], operation)
            return Answer(204 if kind == "Groups" else 200, None if kind == "Groups" else there[key])
        return Answer(200, there[key])


def _apply(resource: dict[str, Any], operation: Mapping[str, Any]) -> None:
    path = operation.get("path")
    value: Any = operation["value"]
    if path == "members":
        ids = {one["value"] for one in value}
        kept = [one for one in resource.get("members", []) if one["value"] not in ids]
        resource["members"] = kept + (value if operation["op"] == "Add" else [])
        return
    for name, new in {path: value}.items() if path else value.items():
        extension, _, attribute = name.rpartition(":")
        place = resource.setdefault(extension, {}) if extension else resource
        *parents, last = attribute.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = new == "True" if new in {"True", "False"} else new


def _holds(resource: Mapping[str, Any], filter: str) -> bool:
    check = _CHECK.fullmatch(filter)
    if check is not None:
        return resource["id"] == check[1] and check[2] in {
            one["value"] for one in resource.get("members", ())
        }
    found = _EQ.fullmatch(filter)
    assert found is not None, f"not played: {filter}"
    if found["path"].startswith("emails"):
        return found["value"] in {one["value"] for one in resource.get("emails", ())}
    return bool(resource.get(found["path"]) == found["value"])
