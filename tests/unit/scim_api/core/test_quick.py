"""The quick reading of Entra's queries comes to what the plain one comes to, or gives up."""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scim_api.admin_models import Matching, TenantSettings
from scim_api.core.filters import Indexed, parse_filter
from scim_api.core.limits import MAX_FILTER, MAX_RESULTS
from scim_api.core.profile import profile
from scim_api.core.quick import page, user_lookup
from scim_api.core.records import Lookup
from scim_api.core.searching import Search, position_of, read_query
from scim_api.http.protocol import Call
from support.scim_core import profile_of

PROFILES: Final = (
    *(profile_of(matching) for matching in Matching),
    profile(TenantSettings.model_validate({"groups": "Disabled"}), "test-no-groups"),
)
NAMES: Final = {
    "userName": Lookup.NAME,
    "externalId": Lookup.EXTERNAL,
    'emails[type eq "work"].value': Lookup.WORK_EMAIL,
}


def plain(query: bytes) -> Search:
    """The query as every handler reads it. Raises ``ScimError``."""
    nothing: Any = None
    call = Call(nothing, nothing, nothing, {}, query, b"", "")
    return read_query(call.parameters())


def check(query: bytes) -> None:
    """Whatever the quick path understands, the plain path understands alike."""
    asked, wanted = user_lookup(query), page(query)
    assert asked is None or wanted is None
    if asked is not None:
        search = plain(query)
        assert search.filter is not None
        assert (search.start_index, search.count, search.cursor) == (1, 100, None)
        assert_whole(search)
        for tenant in PROFILES:
            assert parse_filter(tenant, "User", search.filter) == Indexed(*asked)
    if wanted is not None:
        search = plain(query)
        assert search.filter is None
        assert (search.start_index, search.count) == wanted
        assert search.cursor is None
        assert position_of(search, 1, "User").offset == wanted[0] - 1
        assert_whole(search)


def assert_whole(search: Search) -> None:
    """Nothing is asked for beside the resources as they are, in the order of creation."""
    assert (search.attributes, search.excluded, search.sort_by, search.descending) == (
        None,
        None,
        None,
        False,
    )


# -- query strings near the known shapes and far from them ----------------------------------------
_encoders = st.sampled_from(
    [
        quote,
        quote_plus,
        lambda text: quote(text, safe='"[]'),
        lambda text: quote(text, safe="\"[] .@'\\"),
        lambda text: quote(text).replace("%20", "+").lower(),
        lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    ]
)
_values = st.one_of(
    st.sampled_from(
        [
            "", "ada@contoso.com", "Ada@Contoso.COM", "O'Brien", "a+b@x", "a b", " a ", "100%", "%41", "%", "a&b",
            "a=b", "a;b", "a#b", "a\\b", "a\\", 'a"b', '\\"', "\\u0041", "a\nb", "a\tb", "\x00", "\x1f", "\x7f",
            "Zo\u00eb", "Zoe\u0308", "\u0130stanbul", "Stra\u00dfe", "\u03a3\u03a3", "\U0001f98a", "\ufb01", "\u2028",
            "a\u00a0b", "\x85", "a" * 3000, "x" * MAX_FILTER,
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.builds(lambda size: "y" * size, st.integers(MAX_FILTER - 60, MAX_FILTER)),
)  # fmt: skip
_names = st.sampled_from(
    [
        *NAMES, *NAMES, *NAMES, "username", "USERNAME", "externalid", "id", "displayName", "emails.value", "emails",
        'emails[type eq "home"].value', 'Emails[type eq "work"].value', 'emails[type eq "work"].display',
        'emails[type  eq "work"].value', 'emails[type eq "WORK"].value', "urn:x:userName", " userName",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    ]
)  # fmt: skip
_operators = st.sampled_from(
    [" eq ", " eq ", " eq ", " eq ", " EQ ", "  eq ", " ne ", " co ", "\teq ", " eq"]
)
_tails = st.sampled_from(["", "", "", "", " ", "\n", ' and active eq "true"', ")", '"', "\x00"])
_filters = st.builds(
    lambda name, operator, value, tail: f'{name}{operator}"{value}"{tail}',
    _names,
    _operators,
    _values,
    _tails,
)
_filter_parameters = st.builds(
    lambda name, text, encode: name + encode(text),
    st.sampled_from(
        ["filter=", "filter=", "filter=", "Filter=", "FILTER=", "%66ilter=", "filter", "filter=="]
    ),
    _filters,
    _encoders,
)
_numbers = st.one_of(
    st.integers(0, 300).map(str),
    st.sampled_from(
        ["0", "1", "00", "01", "007", "-1", "+1", "1.0", "1e3", "", " 1", "1+", "%31", "1_0", "\u0661"]
    ),
    st.sampled_from(
        ["99999999", "999999999", "1000000000", "9" * 30, "9" * 31, "9007199254740993", "200", "201"]
    ),
)
_page_parameters = st.builds(
    "{}={}&{}={}".format,
    st.sampled_from(["startIndex", "startIndex", "startIndex", "startindex", "count"]),
    _numbers,
    st.sampled_from(["count", "count", "count", "COUNT", "startIndex"]),
    _numbers,
)
_more = st.sampled_from(
    [
        "", "", "", "&", "&&", "&attributes=userName", "&count=5", "&startIndex=3", "&cursor=", "&cursor=AAA",
        "&sortBy=userName", "&sortOrder=descending", "&filter=active+eq+true", "&aadOptscim062020", "&a=b", "%", "%zz",
        "%ff", "%00", "\u00e9", ";x=y", "#x", "=", "+",
    ]
)  # fmt: skip
_mangled = st.builds(
    lambda query, at, byte: query[: at % (len(query) + 1)] + byte + query[at % (len(query) + 1) :],
    st.one_of(_filter_parameters, _page_parameters).map(lambda text: text.encode("utf-8")),
    st.integers(0, 10_000),
    st.one_of(
        st.binary(min_size=1, max_size=2),
        st.sampled_from([b"%22", b"%5C", b"%ED%A0%80", b"\xff", b"+", b"&"]),
    ),
)
_queries = st.one_of(
    st.builds(lambda query, more: (query + more).encode("utf-8"), _filter_parameters, _more),
    st.builds(lambda query, more: (query + more).encode("utf-8"), _page_parameters, _more),
    st.builds(lambda first, more: f"{more[1:]}&{first}".encode(), _page_parameters, _more),
    _mangled,
    st.binary(max_size=20),
)


@settings(max_examples=1500, deadline=None)
@given(_queries)
@example(b"")
@example(b"filter=")
@example(b'filter=userName eq ""')
@example(b"filter=userName+eq+%22a%22%20")
@example(b"startIndex=1&count=0")
@example(b"startIndex=0&count=5")
@example(b"count=5&startIndex=1")
@example(b"startIndex=1&count=100&cursor=")
def test_what_the_quick_path_understands_the_plain_path_understands_alike(query: bytes) -> None:
    check(query)


def percent_plus(text: str) -> str:
    """Spaces as ``+`` and escapes in lower case: what .NET writes."""
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote_plus(text))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(NAMES)), _values, st.sampled_from([quote, quote_plus, percent_plus]))
def test_every_equality_that_is_encoded_well_is_quick_unless_its_value_needs_an_escape(
    name: str, value: str, encode: Callable[[str], str]
) -> None:
    text = f'{name} eq "{value}"'
    needs_escape = any(character in '"\\' or character < " " for character in value)

    found = user_lookup(b"filter=" + encode(text).encode())

    assert (found is None) is (needs_escape or len(text) > MAX_FILTER)
    assert found is None or found[0] is NAMES[name]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"filter=userName+eq+%22Ada%40X%22", (Lookup.NAME, "ada@x")),
        (b"filter=userName%20eq%20%22Ada%40X%22", (Lookup.NAME, "ada@x")),
        (b'filter=userName eq "Ada@X"', (Lookup.NAME, "ada@x")),
        (b"filter=externalId+eq+%22ExAct%22", (Lookup.EXTERNAL, "ExAct")),
        (b"filter=emails%5btype+eq+%22work%22%5d.value+eq+%22A%40x%22", (Lookup.WORK_EMAIL, "a@x")),
        (b'filter=emails[type eq "work"].value eq "A@x"', (Lookup.WORK_EMAIL, "a@x")),
        (b"filter=userName+eq+%22Zoe%CC%88%22", (Lookup.NAME, "zo\u00eb")),
        (b"filter=externalId+eq+%22Zoe%CC%88%22", (Lookup.EXTERNAL, "Zo\u00eb")),
    ],
)
def test_entras_look_ups_are_quick(query: bytes, asked: tuple[Lookup, str]) -> None:
    assert user_lookup(query) == asked
    check(query)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"startIndex=1&count=100", (1, 100)),
        (b"startIndex=101&count=7", (101, 7)),
        (b"startIndex=999999999&count=999999999", (999_999_999, MAX_RESULTS)),
        (b"startIndex=1&count=0", (1, 0)),
        (b"startIndex=1&count=007", (1, 7)),
    ],
)
def test_pages_of_everybody_are_quick(query: bytes, wanted: tuple[int, int]) -> None:
    assert page(query) == wanted
    check(query)
