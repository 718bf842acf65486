"""Both PATCH dialects, in the shapes of Microsoft's documentation."""

import pytest

from entra_standin.dialects import MANAGER, PATCH_SCHEMA, Dialect, Value, patch_body
from entra_standin.mapping import DEPARTMENT, WORK_COUNTRY, WORK_EMAIL

CHANGES: dict[str, Value] = {
    "displayName": "Ada King",
    "name.givenName": "Ada",
    "active": False,
    WORK_EMAIL: "ada.king@contoso.example",
    DEPARTMENT: "Notes",
    "title": None,
}


def test_without_the_flag_each_attribute_is_one_capitalised_operation_with_a_path() -> None:
    assert patch_body(CHANGES, Dialect.CLASSIC) == {
        "schemas": [PATCH_SCHEMA],
        "Operations": [
            {"op": "Replace", "path": "displayName", "value": "Ada King"},
            {"op": "Replace", "path": "name.givenName", "value": "Ada"},
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "ada.king@contoso.example"},
            {
                "op": "Replace",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "value": "Notes",
            },
            {"op": "Remove", "path": "title"},
        ],
    }


def test_with_the_flag_dotted_and_urn_keys_share_one_lower_case_operation_without_a_path() -> None:
    assert patch_body(CHANGES, Dialect.AAD_OPT_SCIM) == {
        "schemas": [PATCH_SCHEMA],
        "Operations": [
            {
                "op": "replace",
                "value": {
                    "displayName": "Ada King",
                    "name.givenName": "Ada",
                    "active": False,
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Notes",
                },
            },
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "ada.king@contoso.example"},
            {"op": "remove", "path": "title"},
        ],
    }


@pytest.mark.parametrize(
    ("dialect", "value"), [(Dialect.CLASSIC, "True"), (Dialect.AAD_OPT_SCIM, True)], ids=str
)
def test_a_restored_user_becomes_active_in_the_dialects_own_type(dialect: Dialect, value: object) -> None:
    (operation,) = patch_body({"active": True}, dialect)["Operations"]
    sent = operation["value"] if dialect is Dialect.CLASSIC else operation["value"]["active"]
    assert sent == value
    assert type(sent) is type(value)


def test_a_manager_is_added_and_removed_by_the_urn_path() -> None:
    (added,) = patch_body({MANAGER: "id-ada"}, Dialect.CLASSIC)["Operations"]
    (removed,) = patch_body({MANAGER: None}, Dialect.CLASSIC)["Operations"]
    assert added == {"op": "Add", "path": MANAGER, "value": "id-ada"}
    assert removed == {"op": "Remove", "path": MANAGER}


def test_an_empty_string_is_sent_as_it_is() -> None:
    (operation,) = patch_body({"title": ""}, Dialect.CLASSIC)["Operations"]
    assert operation == {"op": "Replace", "path": "title", "value": ""}


def test_changes_by_filter_alone_leave_no_empty_value_object() -> None:
    assert patch_body({WORK_COUNTRY: "BE"}, Dialect.AAD_OPT_SCIM)["Operations"] == [
        {"op": "replace", "path": 'addresses[type eq "work"].country', "value": "BE"}
    ]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_no_change_makes_no_request(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="at least one change"):
        patch_body({}, dialect)
