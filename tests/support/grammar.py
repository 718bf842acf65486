"""Strategies for requests that are nearly right: bodies, PATCHes of both dialects, filters, queries, targets.

Ids that only exist at run time are written as ``{u0}``, ``{u1}``, ``{g0}`` and ``{g1}``, for two users and two
groups; ``Request.filled`` puts them in.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from hypothesis import strategies as st

from support.conversation import CUSTOM, ENTERPRISE, GROUP, PATCH_OP, USER
from support.nearly_right import (
    USER_ATTRIBUTES,
    anything,
    booleans,
    entries,
    group_bodies,
    ids,
    managers,
    members,
    moments,
    mostly,
    numbers,
    scalars,
    texts,
    user_bodies,
    words,
)

Strategy = st.SearchStrategy[Any]

SEARCH: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
BULK: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@dataclasses.dataclass(frozen=True)
class Request:
    """A request; ``target`` is below the base URL, as it stands on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def filled(self, ids: Mapping[str, str]) -> "Request":
        """The same with ids in the place of their names."""
        target, body = self.target, self.body
        for name, value in ids.items():
            target = target.replace(f"{{{name}}}", value).replace(quote(f"{{{name}}}"), value)
            body = body.replace(f"{{{name}}}".encode(), value.encode())
        return dataclasses.replace(self, target=target, body=body)


# -- filters and paths ------------------------------------------------------------------------------
ATTRIBUTES: Final = (
    "userName", "externalId", "displayName", "title", "active", "id", "name", "name.givenName", "emails.value", "emails",
    "addresses", "roles",
    "meta.created", "meta.lastModified", "meta.version", "meta.resourceType", "manager", "groups", "groups.value",
    "members", "members.value", "members.type", "schemas", "phoneNumbers.primary", "addresses.country", "password",
    f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", f"{USER}:userName", f"{CUSTOM}:postalCode",
    f"{CUSTOM}:shoeSize", f"{CUSTOM}:birthday", f"{CUSTOM}:tags", ENTERPRISE, "x509Certificates.value",
)  # fmt: skip
LISTED: Final = ("emails", "phoneNumbers", "addresses", "roles", "members", "groups", "name", "manager")
_cases = st.sampled_from([str, str.lower, str.upper])
attributes = mostly(
    st.builds(lambda name, case: case(name), st.sampled_from(ATTRIBUTES), _cases), st.one_of(texts, words), 15
)
operands = st.one_of(ids, texts, numbers, st.booleans(), st.none(), moments).map(json.dumps)
_operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "pr", "is", ""])
_presence = attributes.map("{} pr".format)
_comparison = st.builds("{} {} {}".format, attributes, mostly(st.just("eq"), _operators, 3), operands)
_inner = st.builds(
    "{} {} {}".format,
    st.sampled_from(["type", "value", "primary", "country", "display", "nothing"]),
    mostly(st.just("eq"), _operators, 3),
    operands,
)
_bracketed = st.builds(
    "{}[{}]{}".format, st.sampled_from(LISTED), _inner, st.sampled_from(["", "", ".value"])
)
filters = mostly(
    st.recursive(
        st.one_of(_comparison, _presence, _bracketed),
        lambda inner: st.one_of(
            st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "AND"]), inner),
            st.builds("not ({})".format, inner),
            st.builds("({})".format, inner),
        ),
        max_leaves=4,
    ),
    st.one_of(texts, st.sampled_from(["((", "a eq", "not", "a eq 1 and", "(" * 50 + "a pr" + ")" * 50])),
    10,
)
paths = mostly(
    st.one_of(
        attributes,
        st.builds("{}[{}]{}".format, st.sampled_from(LISTED), _inner, st.sampled_from(["", ".value", ".country"])),
        st.sampled_from(
            [
                'emails[type eq "work"].value', 'addresses[type eq "work"].country', 'emails[type eq "work"]',
                f"{ENTERPRISE}:manager", f"{CUSTOM}:shoeSize", f"{CUSTOM}:undeclared", "name.familyName",
                'members[value eq "{u0}"]', 'members[value eq "{u1}" or value eq "{g1}"]',
            ]
        ),
    ),
    texts,
    15,
)  # fmt: skip

# -- PATCH, search, bulk ----------------------------------------------------------------------------
_kinds = mostly(st.sampled_from(["Add", "Replace", "Remove", "add", "replace", "remove"]), scalars, 20)
_values = st.one_of(anything, texts, booleans, entries("value", "country"), members, managers)
_group_paths = st.sampled_from(
    ["members", "MEMBERS", "displayName", "externalId", 'members[value eq "{u0}"]', 'members[type eq "User"]',
     f"{GROUP}:displayName", "members.value", "id"]
)  # fmt: skip


def _patches(where: Strategy, names: tuple[str, ...], values: Strategy) -> Strategy:
    """PATCH bodies of both dialects."""
    classic = st.fixed_dictionaries({"op": _kinds, "path": where}, optional={"value": values})
    objects = st.dictionaries(st.one_of(where, st.sampled_from(names)), values, max_size=4)
    pathless = st.fixed_dictionaries({"op": _kinds, "value": mostly(objects, anything)})
    operations = mostly(st.one_of(classic, pathless), anything, 20)
    return st.fixed_dictionaries(
        {"Operations": mostly(st.lists(operations, min_size=1, max_size=4), anything, 20)},
        optional={"schemas": mostly(st.just([PATCH_OP]), anything, 10)},
    )


user_patches = _patches(paths, tuple(USER_ATTRIBUTES), _values)
group_patches = _patches(
    mostly(_group_paths, paths), ("displayName", "members"), st.one_of(members, members, texts, anything)
)
patches = st.one_of(user_patches, group_patches)
_attribute_lists = mostly(st.lists(attributes, max_size=3), anything, 10)
searches = st.fixed_dictionaries(
    {"schemas": mostly(st.just([SEARCH]), anything, 15)},
    optional={
        "filter": mostly(filters, anything),
        "attributes": _attribute_lists,
        "excludedAttributes": _attribute_lists,
        "sortBy": mostly(attributes, anything),
        "sortOrder": mostly(st.sampled_from(["ascending", "descending"]), anything),
        "startIndex": mostly(st.integers(-1, 5), anything),
        "count": mostly(st.integers(-1, 5), anything),
        "cursor": scalars,
    },
)
_bulk_ids = st.sampled_from(["a", "b", "c"])
_bulk_paths = mostly(
    st.sampled_from(
        ["/Users", "/Groups", "/Users/{u0}", "/Users/{u1}", "/Groups/{g0}", "/Users/bulkId:a", "/Groups/bulkId:b"]
    ),
    st.one_of(texts, st.sampled_from(["/Bulk", "/Schemas", "/.search", "/Users/", "Users", "/Me"])),
)  # fmt: skip
_bulk_operations = st.fixed_dictionaries(
    {
        "method": mostly(st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "post"]), scalars, 15),
        "path": _bulk_paths,
    },
    optional={
        "bulkId": mostly(_bulk_ids, scalars, 12),
        "data": mostly(st.one_of(user_bodies, group_bodies, patches), anything, 10),
        "version": texts,
    },
)
bulks = st.fixed_dictionaries(
    {
        "schemas": mostly(st.just([BULK]), anything, 15),
        "Operations": mostly(st.lists(mostly(_bulk_operations, anything, 20), max_size=4), anything, 20),
    },
    optional={"failOnErrors": mostly(st.integers(1, 3), anything)},
)

# -- requests ---------------------------------------------------------------------------------------
_safe = st.sampled_from(["", "@()", "@():/[]'\",<>"])
_parameters = st.one_of(
    st.tuples(st.just("filter"), filters),
    st.tuples(st.sampled_from(["attributes", "excludedAttributes", "sortBy"]), attributes),
    st.tuples(st.just("sortOrder"), st.sampled_from(["ascending", "descending", "up"])),
    st.tuples(st.sampled_from(["startIndex", "count"]), st.one_of(st.integers(-1, 400).map(str), texts)),
    st.tuples(st.sampled_from(["cursor", "aadOptscim062020", "unknown", "FILTER"]), texts),
)
queries = st.builds(
    lambda pairs, safe: "&".join(f"{name}={quote(value, safe, errors='replace')}" for name, value in pairs),
    st.lists(_parameters, max_size=3),
    _safe,
)
_raw_queries = st.sampled_from(
    [
        "%",
        "filter=%zz",
        "filter=%ff",
        "count=",
        "&&&",
        "=",
        "filter",
        "attributes=,,",
        "a=1;b=2",
        "filter=\u00e9",
    ]
)
_collections = st.sampled_from(["/Users", "/Groups", "/users/", "//Groups"])
_ones = st.builds(
    lambda where, one: f"{where}/{quote(one, '{}', errors='replace')}",
    st.sampled_from(["/Users", "/Groups"]),
    ids,
)
_others = st.sampled_from(
    ["/Schemas", f"/Schemas/{USER}", "/Schemas/x", "/ResourceTypes", "/ResourceTypes/Group", "/ServiceProviderConfig",
     "/Me", "/", "", "/nothing", "/Users/{u0}/x", "/%ff", "/Users/%00", "/.search", "/Bulk", "/Users/.search"]
)  # fmt: skip
_header = st.one_of(
    st.tuples(
        st.sampled_from(["if-match", "if-none-match"]),
        st.one_of(st.sampled_from(['W/"1"', '"1"', "*", 'W/"9"', 'W/"1", W/"2"', '"', "W/", 'W/"x"']), words),
    ),
    st.tuples(
        st.just("content-type"),
        st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", ";;", "\xff"]),
    ),
    st.tuples(st.sampled_from(["accept", "accept-encoding", "x-forwarded-host", "prefer"]), st.just("x/y")),
)
_headers = mostly(st.just(()), st.lists(_header, max_size=2).map(tuple), 3)


def _encoded(body: Any, ascii_only: bool) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()


def _bodies(right: Strategy) -> Strategy:
    """JSON, and now and then something that is none."""
    broken = st.one_of(
        st.binary(max_size=8),
        right.map(lambda body: json.dumps(body).encode()[:-1]),
        st.sampled_from([b"{}", b"[]", b"null", b'{"a":1,"a":2}', b"NaN", b"\xef\xbb\xbf{}", b'"x"']),
    )
    return mostly(st.builds(_encoded, right, st.booleans()), broken, 20)


def _target(path: Strategy, one_in: int = 3) -> Strategy:
    query = mostly(queries, _raw_queries, 10)
    with_query = st.builds(lambda where, what: f"{where}?{what}" if what else where, path, query)
    return mostly(path, with_query, one_in)


def _request(methods: tuple[str, ...], target: Strategy, body: Strategy) -> Strategy:
    return st.builds(Request, st.sampled_from(methods), target, _headers, body)


_nothing = st.just(b"")
_any_body = _bodies(st.one_of(user_bodies, group_bodies, patches, searches, anything))
creates_and_replaces = st.one_of(
    _request(("POST",), _target(st.just("/Users"), 10), _bodies(user_bodies)),
    _request(("POST",), _target(st.just("/Groups"), 10), _bodies(group_bodies)),
    _request(("PUT",), _target(st.sampled_from(["/Users/{u0}", "/Users/{u1}"]), 10), _bodies(user_bodies)),
    _request(("PUT",), _target(st.sampled_from(["/Groups/{g0}", "/Groups/{g1}"]), 10), _bodies(group_bodies)),
)
changes = st.one_of(
    _request(("PATCH",), _target(st.sampled_from(["/Users/{u0}", "/Users/{u1}"]), 10), _bodies(user_patches)),
    _request(
        ("PATCH",), _target(st.sampled_from(["/Groups/{g0}", "/Groups/{g1}"]), 10), _bodies(group_patches)
    ),
)
reads = st.one_of(
    _request(("GET",), _target(_collections, 1), _nothing),
    _request(("GET",), _target(_ones), _nothing),
    _request(("POST",), _target(st.sampled_from(["/.search", "/Users/.search", "/Groups/.search"]), 10),
             _bodies(searches)),
)  # fmt: skip
bulk_requests = _request(("POST",), _target(st.just("/Bulk"), 10), _bodies(bulks))
strays = _request(
    ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"),
    _target(st.one_of(_collections, _ones, _others)),
    st.one_of(_nothing, _any_body),
)
deletions = _request(("DELETE",), _target(_ones), _nothing)
requests = st.one_of(creates_and_replaces, changes, changes, reads, reads, bulk_requests, strays, deletions)
