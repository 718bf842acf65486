"""A user or group as rows."""

from scim_console.attributes import Value, email_of, name_of, sections

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_nested_attributes_are_told_by_their_paths_and_entries_with_what_is_said_of_them() -> None:
    [core] = sections(
        {
            "schemas": ["urn:x"],
            "id": "u-1",
            "userName": "ada",
            "active": False,
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"value": "ada@contoso.example", "type": "work", "primary": True}],
            "addresses": [{"type": "home", "locality": "Köln", "country": "DE"}],
            "roles": [{"value": "r1", "display": "Reader"}, "plain"],
            "meta": {"version": "1"},
        }
    )
    assert [(row.name, list(row.values)) for row in core.rows] == [
        ("userName", [Value("ada")]),
        ("active", [Value("false")]),
        ("name.givenName", [Value("Ada")]),
        ("name.familyName", [Value("Lovelace")]),
        ("emails", [Value("ada@contoso.example", ("work", "primary"))]),
        ("addresses", [Value("Köln, DE", ("home",))]),
        ("roles", [Value("r1", ("Reader",)), Value("plain")]),
    ]


def test_an_extension_is_a_section_and_a_manager_leads_to_a_user() -> None:
    custom = "urn:scim-operator:params:scim:schemas:extension:custom:1.0:User"
    extension = {"department": "R&D", "manager": {"value": "u-2", "displayName": "Grace"}}
    found = sections(
        {"userName": "ada", ENTERPRISE: extension, custom: {"n": 1, "deep": {"er": [1, {"a": None}]}}}
    )
    assert [section.title for section in found] == ["", "Enterprise User", "Custom User"]
    assert found[1].rows[1].values == [Value("Grace", user="u-2")]
    assert [row.name for row in found[2].rows] == ["n", "deep.er"]
    assert found[2].rows[1].values == [Value("1"), Value("null")]


def test_many_entries_are_cut_and_an_odd_schema_is_told_as_it_is() -> None:
    found = sections({"tags": list(range(50)), "urn:odd": {"a": {"b": {}}}})
    assert (len(found[0].rows[0].values), found[0].rows[0].left_out) == (40, 10)
    assert found[1].title == "urn:odd"
    assert sections({}) == []


def test_a_name_is_the_display_name_else_what_there_is() -> None:
    assert name_of({"displayName": "Ada", "userName": "ada"}) == "Ada"
    assert name_of({"displayName": " ", "userName": "ada"}) == "ada"
    assert name_of({"displayName": 7, "id": "u-1"}) == "u-1"
    assert name_of({}) == "(no name)"


def test_the_primary_e_mail_is_shown_else_the_first() -> None:
    assert email_of({"emails": [{"value": "a@x"}, {"value": "b@x", "primary": True}]}) == "b@x"
    assert email_of({"emails": [{"type": "work"}, {"value": "a@x"}]}) == "a@x"
    assert email_of({"emails": "a@x"}) == ""
