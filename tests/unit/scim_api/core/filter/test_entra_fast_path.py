"""The quick reading of Entra's queries comes to what the plain one comes to, or gives up."""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.core.filter import entra_fast_path
from scim_api.core.filter.entra_fast_path import read_page, read_user_lookup
from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.limits import MAX_FILTER, MAX_RESULTS
from scim_api.core.messages.search_request import SearchRequest, page_position, read_query
from scim_api.core.model import Lookup
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.http.request import ScimRequest
from support.nearly_right import mostly
from support.scim_core import profile_of

PROFILES: Final = (
    *(profile_of(matching) for matching in Matching),
    compile_tenant_schema(TenantSettings.model_validate({"groups": "Disabled"}), "test-no-groups"),
)
NAMES: Final = {
    "userName": Lookup.NAME,
    "externalId": Lookup.EXTERNAL,
    'emails[type eq "work"].value': Lookup.WORK_EMAIL,
}


def plain(query: bytes) -> SearchRequest:
    """The query as every handler reads it. Raises ``ScimError``."""
    nothing: Any = None
    call = ScimRequest(nothing, nothing, nothing, {}, query, b"", "")
    return read_query(call.query_parameters())


def check(query: bytes) -> None:
    """Whatever the quick path understands, the plain path understands alike."""
    asked, wanted = read_user_lookup(query), read_page(query)
    assert asked is None or wanted is None
    if asked is not None:
        search = plain(query)
        assert search.filter is not None
        assert (search.start_index, search.count, search.cursor) == (1, 100, None)
        assert_whole(search)
        for tenant in PROFILES:
            assert parse_filter(tenant, "User", search.filter) == IndexedLookup(*asked)
    if wanted is not None:
        search = plain(query)
        assert search.filter is None
        assert (search.start_index, search.count) == wanted
        assert search.cursor is None
        assert page_position(search, 1, "User").offset == wanted[0] - 1
        assert_whole(search)


def assert_whole(search: SearchRequest) -> None:
    """Nothing is asked for beside the resources as they are, in the order of creation."""
    assert (search.attributes, search.excluded, search.sort_by, search.descending) == (
        None,
        None,
        None,
        False,
    )


# -- query strings: right in all but one place, most of them --------------------------------------
def percent_plus(text: str) -> str:
    """Spaces as ``+`` and escapes in lower case: what .NET writes."""
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote_plus(text))


WELL: Final = (quote, quote_plus, percent_plus)
ODDLY: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: text,
    lambda text: quote(text, safe="\"[] .@'\\"),
    lambda text: quote(text).replace("%20", "+").lower(),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
)
ODD_VALUES: Final = (
    "", "Ada@Contoso.COM", "O'Brien", "a+b@x", "a b", " a ", "100%", "%41", "%22", "%", "a&b", "a=b", "a;b", "a#b",
    "a\\b", "a\\", 'a"b', '\\"', "\\u0041", "\\x", "a\nb", "a\tb", "\x00", "\x1f", "\x7f", "\x85", "Zo\u00eb",
    "Zoe\u0308", "\u0130stanbul", "Stra\u00dfe", "\u03a3\u03a3", "\U0001f98a", "\ufb01", "\u2028", "a\u00a0b",
    "x" * 3000, "x" * MAX_FILTER,
)  # fmt: skip
ODD_NAMES: Final = (
    "username", "USERNAME", "externalid", "id", "displayName", "emails.value", "emails", 'emails[type eq "home"].value',
    'Emails[type eq "work"].value', 'emails[type eq "work"].display', 'emails[type  eq "work"].value',
    'emails[type eq "WORK"].value', "urn:x:userName", " userName", "urn:ietf:params:scim:schemas:core:2.0:User:userName",
)  # fmt: skip
ODD_NUMBERS: Final = (
    "0", "00", "01", "007", "-1", "+1", "1.0", "1e3", "", " 1", "1+", "%31", "1_0", "\u0661", "200", "201", "99999999",
    "999999999", "1000000000", "9" * 30, "9" * 31, "9007199254740993",
)  # fmt: skip
MORE: Final = (
    "&", "&&", "&attributes=userName", "&excludedAttributes=name", "&count=5", "&startIndex=3", "&cursor=", "&cursor=A",
    "&sortBy=userName", "&sortOrder=descending", "&filter=active+eq+true", "&aadOptscim062020", "&a=b", "%", "%zz",
    "%ff", "%00", "%22", "\u00e9", ";x=y", "#x", "=", "+", " ", "\n", "0",
)  # fmt: skip
IN_A_VALUE: Final = (
    b"%ff", b"%ED%A0%80", b"%c3", b"%C3%A9", b"%00", b"%0A", b"%5C", b"%5c%22", b"%22", b'"', b"\\", b"\\u0041", b"+",
    b"%2B", b"%zz", b"%", b"&", b"%26", b"\xff", b"\xc3\xa9", b"\x00", b"=",
)  # fmt: skip
_values = mostly(
    st.sampled_from(["ada@contoso.com", "Ada"]),
    st.one_of(
        st.sampled_from(ODD_VALUES),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.builds(lambda size: "y" * size, st.integers(MAX_FILTER - 60, MAX_FILTER)),
    ),
    2,
)
_equalities = st.builds(
    '{}{}"{}"{}'.format,
    mostly(st.sampled_from(list(NAMES)), st.sampled_from(ODD_NAMES)),
    mostly(st.just(" eq "), st.sampled_from([" EQ ", "  eq ", " ne ", " co ", "\teq ", " eq", "eq "])),
    _values,
    mostly(st.just(""), st.sampled_from([" ", "\n", ' and active eq "true"', ")", '"', "\x00"])),
)
_filters = st.builds(
    lambda name, text, encode: name + encode(text),
    mostly(
        st.just("filter="),
        st.sampled_from(["Filter=", "FILTER=", "%66ilter=", "filter", "filter==", "&filter="]),
    ),
    _equalities,
    mostly(st.sampled_from(WELL), st.sampled_from(ODDLY), 3),
)
_numbers = mostly(st.integers(0, 300).map(str), st.sampled_from(ODD_NUMBERS), 3)
_pages = st.builds(
    "{}={}&{}={}".format,
    mostly(st.just("startIndex"), st.sampled_from(["startindex", "count", "start%49ndex"])),
    _numbers,
    mostly(st.just("count"), st.sampled_from(["COUNT", "startIndex", "count "])),
    _numbers,
)
_with_more = st.builds(
    lambda query, more: f"{query}{more}".encode(),
    st.one_of(_filters, _pages),
    mostly(st.just(""), st.sampled_from(MORE), 2),
)
_after_more = st.builds(
    lambda query, more: f"{more[1:]}&{query}".encode(), st.one_of(_filters, _pages), st.sampled_from(MORE)
)
_spliced = st.builds(
    lambda name, space, *value: b"filter=" + space.join([name, b"eq", b"%%22%b%%22" % b"".join(value)]),
    st.sampled_from([b"userName", b"externalId"]),
    st.sampled_from([b"+", b"%20", b" "]),
    st.sampled_from([b"", b"A", b"%C3%A9"]),
    st.one_of(st.sampled_from(IN_A_VALUE), st.binary(min_size=1, max_size=2)),
    st.sampled_from([b"", b"e", b"\xcc\x88", b"%CC%88"]),
)
_queries = st.one_of(_with_more, _with_more, _after_more, _spliced, _spliced, st.binary(max_size=20))


@settings(max_examples=3000, deadline=None)
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


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(NAMES)), _values, st.sampled_from(WELL))
def test_every_equality_that_is_encoded_well_is_quick_unless_its_value_needs_an_escape(
    name: str, value: str, encode: Callable[[str], str]
) -> None:
    text = f'{name} eq "{value}"'
    needs_escape = any(character in '"\\' or character < " " for character in value)

    found = read_user_lookup(b"filter=" + encode(text).encode())

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
    assert read_user_lookup(query) == asked
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
    assert read_page(query) == wanted
    check(query)


def test_an_ampersand_ends_a_parameter_even_between_quotes() -> None:
    assert read_user_lookup(b'filter=userName%20eq%20"a&b"') is None
    assert read_user_lookup(b'filter=userName%20eq%20"a%26b"') == (Lookup.NAME, "a&b")


def test_bytes_that_are_no_text_are_left_to_the_plain_path() -> None:
    query = b"filter=userName%20eq%20%22%FF%22"
    assert read_user_lookup(query) is None
    check(query)


@given(
    name=st.sampled_from(sorted(NAMES)),
    operand=st.text("aZ09._~-@+ \u00e9%", max_size=8),
    encode=st.sampled_from(WELL),
    cut=st.integers(0, 90),
)
@example(name="userName", operand="a" * MAX_FILTER, encode=quote, cut=90)
@example(name="externalId", operand="", encode=quote_plus, cut=90)
def test_what_needs_no_decoding_is_read_as_what_does(
    name: str, operand: str, encode: Callable[[str], str], cut: int
) -> None:
    query = f"filter={encode(f'{name} eq {chr(34)}{operand}{chr(34)}')}".encode()
    for one in (query, query[:cut], query.replace(b"+", b"%20", 1), query.replace(b"%20", b"+", 1)):
        check(one)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(entra_fast_path, "_COMMON", re.compile(rb"(?!)"))
            decoded = read_user_lookup(one)
        assert read_user_lookup(one) == decoded


def test_an_operand_of_plain_characters_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(entra_fast_path, "unquote")
    assert read_user_lookup(b"filter=userName+eq+%22Ada%40x%22") == (Lookup.NAME, "ada@x")
    query = b"filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22Ada@x%22"
    assert read_user_lookup(query) == (Lookup.WORK_EMAIL, "ada@x")
    assert read_user_lookup(b"filter=externalId%20eq%20%22Ada%22") == (Lookup.EXTERNAL, "Ada")
