"""Long lists of members are read in pieces, and as the plain way reads them."""

import json
import re
import uuid
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.contract.urns import PATCH_OP
from scim_api.core.errors import ScimError
from scim_api.core.json_body import decode_json
from scim_api.core.limits import MAX_BODY
from scim_api.core.patch.request import read_patch
from scim_api.core.resources import long_lists
from scim_api.core.resources.groups import create_group
from scim_api.core.resources.long_lists import decode_group
from scim_api.core.resources.members import MemberIds
from support.scim_core import profile_of

TENANT: Final = profile_of()
IDS: Final = [str(uuid.UUID(int=number, version=4)) for number in range(12)]


def _read(decode: Any, body: bytes) -> object:
    """What becomes of a body, whichever way it is read: of a POST and of a PATCH."""
    try:
        document = decode(body)
        if any(name.lower() == "operations" for name in document):
            return [(one.op, one.value) for one in read_patch(TENANT, document, "Group")]
        return create_group(TENANT, document)
    except ScimError as error:
        return error.status, error.detail


_ids = st.sampled_from([*IDS, IDS[3].upper()])
_texts = st.sampled_from(["x", 'a "quote" } ] , {', "back\\", "é\U0001f600", "", "[1.50,", "\x00"])
_entries = st.one_of(
    _ids.map(lambda one: {"value": one}),
    _ids.map(lambda one: {"value": one}),
    st.builds(lambda one, text: {"display": text, "value": one, "type": "User"}, _ids, _texts),
    st.sampled_from(
        [
            {}, {"value": ""}, {"value": None}, {"value": 7}, {"value": 1.5}, {"value": "nobody"}, {"VALUE": IDS[5]},
            {"$ref": f"https://x/Users/{IDS[6]}"}, {"value": IDS[1], "Value": IDS[2]}, {"value": [IDS[1]]},
            {"value": IDS[1], "name": {"a": 1}}, IDS[7], [], None,
        ]
    ),
)  # fmt: skip
_lists = st.one_of(st.lists(_ids.map(lambda one: {"value": one}), max_size=9), st.lists(_entries, max_size=9))
_operations = st.one_of(
    st.builds(
        lambda op, path, value: {"op": op, "path": path, "value": value},
        st.sampled_from(["add", "Remove", "replace"]),
        st.sampled_from(["members", "Members", "displayName", 'members[value eq "x"]']),
        _lists,
    ),
    st.builds(lambda value: {"op": "replace", "value": {"members": value, "displayName": "x"}}, _lists),
)
_bodies = st.one_of(
    st.builds(
        lambda name, members, more: {"displayName": "staff", name: members, **more},
        st.sampled_from(["members", "MEMBERS", "value", "Members"]),
        _lists,
        st.sampled_from(
            [{}, {"members": []}, {"emails": [{"value": IDS[0]}]}, {"x": {"members": [{"value": IDS[0]}]}}]
        ),
    ),
    st.builds(lambda ops: {"schemas": [PATCH_OP], "Operations": ops}, st.lists(_operations, max_size=3)),
)


@settings(max_examples=150, deadline=None)
@given(
    body=_bodies,
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    cut=st.one_of(st.none(), st.tuples(st.integers(0, 400), st.sampled_from([b"", b'"', b"}", b"]", b"\\"]))),
)
def test_a_body_is_read_in_pieces_as_it_is_read_whole(
    body: dict[str, Any], indent: int | None, ascii_only: bool, cut: tuple[int, bytes] | None
) -> None:
    text = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode()
    if cut is not None:
        text = text[: cut[0]] + cut[1] + text[cut[0] + 1 :]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(long_lists, "LONG", 1)
        patched.setattr(long_lists, "PIECE", 150)
        assert _read(decode_group, text) == _read(decode_json, text)


def _group(count: int, *, more: str = "", entry: str = '{"value":"%s"}') -> bytes:
    members = ",".join(entry % uuid.UUID(int=number, version=4) for number in range(count))
    return f'{{"displayName":"staff"{more},"members":[{members}]}}'.encode()


def test_a_body_may_be_long_because_of_its_members() -> None:
    body = _group(30_000)

    found = decode_group(body)

    assert len(body) > MAX_BODY
    assert type(found["members"]) is MemberIds
    assert list(found["members"]) == [one["value"] for one in json.loads(body)["members"]]
    assert found["displayName"] == "staff"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_group(10, more=f',"x":"{"y" * MAX_BODY}"'), "without the members of the group"),
        (_group(30_000, more=f',"x":"{"y" * MAX_BODY}"'), "without the members of the group"),
        (_group(9_000, entry='{"value":"%s","x":[' + "1," * 50 + "1]}"), "more than a flat object"),
        (_group(1_000, entry='{"value":"%s"}').replace(b"}]", b',"x":"%b"}]' % (b"y" * MAX_BODY)), "flat object"),
        (_group(30_000).replace(b'"members"', b'"others":{"members"').replace(b"]}", b"]}}"), "flat object"),
    ],
)  # fmt: skip
def test_what_is_long_because_of_something_else_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ScimError, match=reason) as refused:
        decode_group(body)
    assert refused.value.status == 413


def test_a_list_has_so_many_members_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lists, "MAX_MEMBERS", 1_000)

    assert len(decode_group(_group(1_000))["members"]) == 1_000
    with pytest.raises(ScimError, match="more than 1000 members") as refused:
        decode_group(_group(40_000))
    assert refused.value.status == 413


def _patch(*values: str) -> bytes:
    listed = ",".join(f'{{"op":"add","path":"members","value":[{value}]}}' for value in values)
    return f'{{"schemas":["{PATCH_OP}"],"Operations":[{listed}]}}'.encode()


def test_all_lists_of_a_body_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lists, "MAX_MEMBERS", 20_000)
    half = ",".join(f'{{"value":"{uuid.UUID(int=number, version=4)}"}}' for number in range(15_000))

    with pytest.raises(ScimError, match="more than 20000 members") as refused:
        decode_group(_patch(half, half))
    assert refused.value.status == 413


def test_entries_that_are_no_ids_count_as_any_other_values() -> None:
    nothing = ",".join(["{}"] * 30_000)

    with pytest.raises(ScimError, match="values") as refused:
        decode_group(_patch(nothing, nothing))
    assert refused.value.status == 413


class _Counted:
    """A pattern that counts the bytes it has looked at, as far as it matched."""

    def __init__(self, pattern: re.Pattern[bytes], count: list[int]) -> None:
        self._pattern, self._count = pattern, count

    def match(self, body: bytes, start: int, end: int) -> re.Match[bytes] | None:
        found = self._pattern.match(body, start, end)
        self._count[0] += 1 if found is None else 1 + found.end() - found.start()
        return found


@pytest.mark.parametrize(
    "again",
    [
        rb'{\""},{""value":[',  # from each beginning that a search would find it is a list without an end
        rb'{"value":[',
        rb'{"value":[{"value":"x"},',
        rb'"value":[{},{},{}],',
        rb'{"x":"',
        b'"value"' + b" " * 20,
    ],
)  # fmt: skip
def test_nothing_is_looked_at_again_and_again(again: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    count = [0]
    for name in ("_OTHER", "_BEGIN", "_ANY_STRING", "_ENTRIES", "_LAST"):
        monkeypatch.setattr(long_lists, name, _Counted(getattr(long_lists, name), count))
    body = (b'{"members":[' + again * (200_000 // len(again)))[:200_000]

    with pytest.raises(ScimError):
        decode_group(body)

    assert count[0] < 6 * len(body)
