"""A tiny SCIM service in memory, right by itself, with faults that a test can plant in its answers."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from entra_standin.checks import ERROR_SCHEMA, LIST_SCHEMA
from entra_standin.dialects import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA
from entra_standin.discovery import ENTERPRISE_PATHS, GROUP_PATHS, USER_PATHS
from entra_standin.mapping import WORK_EMAIL, value_at

TOKEN = "sct_a-token-that-no-message-may-show"
URL = "https://scim.test/scim/v2"

Fault = Callable[[httpx.Request, httpx.Response], httpx.Response]
"""Gets a right answer and returns a wrong one, or the same when the request is not its business."""


class Service:
    """Users by id; takes bodies as they are and only the PATCH of both dialects that the tests send."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.schemas: list[dict[str, Any]] = [
            schema(USER_SCHEMA, USER_PATHS),
            schema(ENTERPRISE_SCHEMA, ENTERPRISE_PATHS),
            schema(GROUP_SCHEMA, GROUP_PATHS),
        ]
        self.requests: list[httpx.Request] = []
        self.fault: Fault = lambda _request, answer: answer
        self.tokens = {TOKEN}

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def bodies(self, method: str) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.method == method]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.fault(request, self._right(request))

    def _right(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") not in {f"Bearer {token}" for token in self.tokens}:
            return error(401, detail="unknown token")
        if request.url.path.endswith("/Schemas"):
            return listing(self.schemas)
        if "/Groups" in request.url.path:
            return self._group(request)
        user_id = request.url.path.partition("/Users/")[2]
        if not user_id:
            return self._post(request) if request.method == "POST" else self._query(request)
        if user_id not in self.users:
            return error(404, detail="no such user")
        if request.method == "DELETE":
            del self.users[user_id]
            for group in self.groups.values():
                group["members"].discard(user_id)
            return httpx.Response(204)
        if request.method == "PATCH":
            self._patch(self.users[user_id], json.loads(request.content)["Operations"])
        return self._user(200, self.users[user_id])

    # -- groups: members are a set of ids, and never part of an answer ------------------------------
    def _group(self, request: httpx.Request) -> httpx.Response:
        group_id = request.url.path.partition("/Groups/")[2]
        if not group_id:
            return self._post_group(request) if request.method == "POST" else self._query_groups(request)
        if group_id not in self.groups:
            return error(404, detail="no such group")
        if request.method == "DELETE":
            del self.groups[group_id]
            return httpx.Response(204)
        if request.method == "PATCH":
            for operation in json.loads(request.content)["Operations"]:
                self._change_group(self.groups[group_id], operation)
            return httpx.Response(204)
        return self._user(200, bare(self.groups[group_id]))

    def _post_group(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        group_id = f"id-{body['externalId']}"
        meta = {"resourceType": "Group", "location": f"{URL}/Groups/{group_id}", "version": 'W/"1"'}
        self.groups[group_id] = {**body, "id": group_id, "meta": meta, "members": set()}
        return self._user(201, bare(self.groups[group_id]))

    def _query_groups(self, request: httpx.Request) -> httpx.Response:
        text = request.url.params["filter"]
        if by_name := re.fullmatch(r"displayName eq (?P<name>.*)", text):
            wanted = json.loads(by_name["name"])
            return listing([bare(group) for group in self.groups.values() if group["displayName"] == wanted])
        check = re.fullmatch(r'id eq "(?P<id>.*)" and members\[value eq "(?P<member>.*)"\]', text)
        assert check is not None, text
        group = self.groups.get(check["id"])
        return listing([bare(group)] if group and check["member"] in group["members"] else [])

    @staticmethod
    def _change_group(group: dict[str, Any], operation: dict[str, Any]) -> None:
        path, value = operation.get("path"), operation.get("value", {})
        if path == "displayName" or path is None:
            group["displayName"] = value["displayName"] if path is None else value
        elif path == "members":
            ids = {member["value"] for member in value}
            group["members"] = (
                group["members"] | ids if operation["op"].lower() == "add" else group["members"] - ids
            )
        else:
            group["members"].discard(path.split('"')[1])

    @staticmethod
    def _user(status: int, user: dict[str, Any]) -> httpx.Response:
        return scim(status, user, etag=user["meta"]["version"], location=user["meta"]["location"])

    def _query(self, request: httpx.Request) -> httpx.Response:
        if "filter" not in request.url.params:
            return listing(list(self.users.values()))
        path, _, quoted = request.url.params["filter"].rpartition(" eq ")
        wanted = json.loads(quoted).casefold()
        return listing(
            [user for user in self.users.values() if str(value_at(user, path)).casefold() == wanted]
        )

    def _post(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if not value_at(body, WORK_EMAIL):
            return error(422, detail="emails is missing")
        if any(user["userName"] == body["userName"] for user in self.users.values()):
            return error(409, "uniqueness", "userName is taken")
        user_id = f"id-{body['externalId']}"
        meta = {"resourceType": "User", "location": f"{URL}/Users/{user_id}", "version": 'W/"1"'}
        self.users[user_id] = {**body, "id": user_id, "meta": meta}
        return self._user(201, self.users[user_id])

    @staticmethod
    def _patch(user: dict[str, Any], operations: list[dict[str, Any]]) -> None:
        for operation in operations:
            changes = (
                {operation["path"]: operation.get("value")} if "path" in operation else operation["value"]
            )
            for path, value in changes.items():
                _put(
                    user,
                    path,
                    value == "True" if value in ("True", "False") else (value if value != "" else None),
                )


def bare(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "members"}


def schema(urn: str, paths: Iterable[str]) -> dict[str, Any]:
    """A schema in which Entra discovers these paths."""
    attributes: dict[str, dict[str, Any]] = {}
    for path in paths:
        ((name, kind, sub),) = re.findall(r'^(\w+)(?:\[type eq "(\w+)"\])?(?:\.(\w+))?$', path)
        found = attributes.setdefault(name, attribute(name))
        if sub:
            found.setdefault("subAttributes", []).append(attribute(sub))
        if kind:
            found["subAttributes"].append({**attribute("type"), "canonicalValues": [kind]})
    return {"id": urn, "attributes": list(attributes.values())}


def attribute(name: str) -> dict[str, Any]:
    traits = {"multiValued": False, "required": False, "mutability": "readWrite", "returned": "default"}
    return {"name": name, "type": "string", **traits}


def _put(user: dict[str, Any], path: str, value: Any) -> None:
    extension, _, name = path.rpartition(":")
    target = user.setdefault(extension, {}) if extension else user
    if "[" in name:
        listed, sub = name.partition("[")[0], name.rpartition(".")[2]
        user[listed] = [{"type": "work", sub: value}]
        return
    *parents, last = name.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = {"value": value} if last == "manager" and value else value


def scim(status: int, body: Any, media_type: str = "application/scim+json", **headers: str) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body), headers={"content-type": media_type, **headers})


def listing(users: list[Any], **changed: Any) -> httpx.Response:
    counts = {"totalResults": len(users), "itemsPerPage": len(users), "startIndex": 1}
    return scim(200, {"schemas": [LIST_SCHEMA], **counts, "Resources": users, **changed})


def error(status: int, scim_type: str | None = None, detail: str = "") -> httpx.Response:
    kind = {"scimType": scim_type} if scim_type else {}
    return scim(status, {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail, **kind})


def on(method: str, change: Callable[[dict[str, Any]], Any]) -> Fault:
    """A fault in the JSON body of every answer with one to this method."""

    def fault(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method != method or not answer.content:
            return answer
        headers = {name: answer.headers[name] for name in ("etag", "location") if name in answer.headers}
        return scim(answer.status_code, change(json.loads(answer.content)), **headers)

    return fault


def header(method: str, name: str, value: str | None) -> Fault:
    """A fault in one header of every answer to this method; ``None`` leaves the header out."""

    def fault(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == method:
            answer.headers.pop(name, None)
            answer.headers.update({name: value} if value is not None else {})
        return answer

    return fault


def instead(method: str, made: Callable[[], httpx.Response]) -> Fault:
    """A fault that answers something else to this method."""
    return lambda request, answer: made() if request.method == method else answer
