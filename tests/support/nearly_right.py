"""Strategies for values and bodies of resources that are nearly right."""

from typing import Any, Final

from hypothesis import strategies as st

from support.conversation import CUSTOM, ENTERPRISE, ENTRA_GROUP, GROUP, USER

Strategy = st.SearchStrategy[Any]
CUSTOM_FIELDS: Final = (
    {"name": "postalCode"},
    {"name": "shoeSize", "type": "Integer"},
    {"name": "vip", "type": "Boolean"},
    {"name": "weight", "type": "Decimal"},
    {"name": "birthday", "type": "DateTime"},
    {"name": "tags", "type": "String", "multiValued": True},
)


def mostly(right: Strategy, odd: Strategy, one_in: int = 8) -> Strategy:
    """``right``, but one time in so many ``odd``."""
    return st.integers(1, one_in).flatmap(lambda number: odd if number == one_in else right)


# -- values -----------------------------------------------------------------------------------------
ODD_TEXTS: Final = (
    "", " ", "\x00", "\ud800", "\u202e", "\ufeff", "a" * 3000, '"', "\\", '\\"', "'", "%", "%00", "{u0}", "{g0}",
    "null", "True", "1e999", "-0", "\u0130", "\u00df", "e\u0301", "\U0001f98a", "urn:", ":", ".", "[", "]", "eq",
    "2020-01-01T00:00:00Z", "2020-13-45", "$ref", "value", "schemas", "__proto__", "bulkId:x", "../Users",
)  # fmt: skip
words = st.sampled_from(
    ["ada", "Bob", "cy", "R&D", "de e", "x@y.z", "(EMEA)", "Zo\u00eb", "7", "True", "False"]
)
texts = mostly(words, st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=8)), 5)
ids = mostly(
    st.sampled_from(["{u0}", "{u1}", "{g0}", "{g1}"]),
    st.one_of(st.just("00000000-0000-4000-8000-000000000000"), texts),
)
numbers = st.one_of(
    st.integers(-3, 300), st.sampled_from([2**31, 2**53, 2**63, 10**40, 0.5, -0.0, 1e300, 1.10])
)
moments = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+05:30", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
)  # fmt: skip
scalars = st.one_of(texts, numbers, st.booleans(), st.none(), moments)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["value", "type", "primary", "$ref", "display"]), texts),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)
booleans = st.one_of(st.booleans(), st.sampled_from(["True", "False", "true"]))


def entries(*subs: str) -> Strategy:
    """Entries of a multi-valued attribute with some of these sub-attributes."""
    entry = st.fixed_dictionaries(
        {},
        optional={
            **{sub: mostly(texts, anything) for sub in subs},
            "type": mostly(st.sampled_from(["work", "home", "mobile"]), scalars),
            "primary": mostly(booleans, scalars),
        },
    )
    return st.lists(mostly(entry, anything), max_size=3)


names = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("formatted", "familyName", "givenName", "middleName"), texts)
)
managers = st.one_of(
    ids, st.fixed_dictionaries({"value": ids}), st.lists(st.fixed_dictionaries({"value": ids}), max_size=2)
)
enterprise = st.fixed_dictionaries(
    {}, optional={"department": texts, "costCenter": texts, "manager": managers, "employeeNumber": texts}
)
custom = st.fixed_dictionaries(
    {},
    optional={
        "postalCode": scalars,
        "shoeSize": mostly(st.integers(-5, 50), scalars),
        "vip": mostly(booleans, scalars),
        "weight": mostly(numbers, scalars),
        "birthday": mostly(moments, scalars),
        "tags": mostly(st.lists(texts, max_size=3), scalars),
    },
)
members = st.lists(
    mostly(
        st.fixed_dictionaries({"value": ids}, optional={"$ref": st.none(), "type": texts, "display": texts}),
        anything,
    ),
    max_size=4,
)
USER_ATTRIBUTES: Final[dict[str, Strategy]] = {
    "externalId": texts,
    "displayName": texts,
    "title": texts,
    "nickName": texts,
    "userType": texts,
    "locale": texts,
    "profileUrl": texts,
    "active": booleans,
    "name": names,
    "emails": entries("value", "display"),
    "phoneNumbers": entries("value"),
    "addresses": entries("country", "locality", "formatted", "streetAddress"),
    "roles": entries("value", "display"),
    "x509Certificates": mostly(
        st.lists(
            st.fixed_dictionaries({"value": st.sampled_from(["MIIDQzCC", "AA==", "AQ", "_-8="])}), max_size=2
        ),
        entries("value"),
        2,
    ),
    "photos": entries("value"),
    ENTERPRISE: enterprise,
    CUSTOM: custom,
    "meta": st.just({"resourceType": "User"}),
    "groups": entries("value"),
    "password": texts,
    "id": texts,
}
GROUP_ATTRIBUTES: Final[dict[str, Strategy]] = {
    "externalId": texts,
    "members": members,
    "meta": st.just({"resourceType": "Group"}),
    ENTRA_GROUP: anything,
}


def with_noise(right: Strategy) -> Strategy:
    """One attribute of some other kind, now and then."""
    noise = st.dictionaries(
        st.one_of(st.sampled_from([*USER_ATTRIBUTES, "members", "unknown", "urn:x:y"]), texts),
        anything,
        max_size=2,
    )
    return mostly(right, st.tuples(right, noise).map(lambda both: {**both[0], **both[1]}), 4)


user_bodies = with_noise(
    st.fixed_dictionaries(
        {
            "schemas": mostly(st.just([USER]), anything, 20),
            "userName": mostly(texts, anything, 20),
            "emails": mostly(texts.map(lambda text: [{"type": "work", "value": text}]), entries("value"), 6),
        },
        optional={
            name: mostly(right, anything, 12) for name, right in USER_ATTRIBUTES.items() if name != "emails"
        },
    )
)
group_bodies = with_noise(
    st.fixed_dictionaries(
        {"schemas": mostly(st.just([GROUP]), anything, 20), "displayName": mostly(texts, anything, 20)},
        optional={name: mostly(right, anything, 12) for name, right in GROUP_ATTRIBUTES.items()},
    )
)
