"""What to paste where, as Microsoft names it, and nothing secret unless it is asked for."""

import base64
import re
from pathlib import Path

import pytest

from kubectl_scim import portal

VALUES = {
    "endpoint": "https://scim.example/scim/v2",
    "token": "sct_secret",
    "token-endpoint": "https://scim.example/oauth2/token",
    "client-id": "c1",
    "client-secret": "scs_secret",
}
SECRET = {"data": {name: base64.b64encode(value.encode()).decode() for name, value in VALUES.items()}}
PAGE = (Path(__file__).resolve().parents[3] / "docs/entra.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("auth_type", "keys", "secret"),
    [
        ("BearerToken", ["endpoint", "token"], "token"),
        (
            "OAuthClientCredentials",
            ["endpoint", "token-endpoint", "client-id", "client-secret"],
            "client-secret",
        ),
        ("WorkloadIdentity", ["endpoint", "token-endpoint", "client-id"], None),
    ],
)
def test_each_way_to_sign_in_has_its_fields_and_hides_what_is_secret(
    auth_type: str, keys: list[str], secret: str | None
) -> None:
    fields = portal.fields(auth_type, SECRET)
    assert [field.shown(show=True) for field in fields] == [VALUES[key] for key in keys]
    hidden = [field.shown(show=False) for field in fields]
    assert [portal.HIDDEN if key == secret else VALUES[key] for key in keys] == hidden
    assert not any(VALUES[key] in repr(fields) for key in ("token", "client-secret"))


def test_the_names_are_those_of_the_page_about_entra() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+?) \|", PAGE, re.MULTILINE))
    for name, key, _ in {row for listed in portal._FIELDS.values() for row in listed}:
        assert re.split(r" \(or |, |\)| or ", name)[0] in rows[key], name


def test_what_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="token"):
        portal.fields("BearerToken", {"data": {"endpoint": "aHR0cHM6Ly94"}})


def test_what_is_no_text_is_told() -> None:
    broken = {"data": {"endpoint": "%%", "token": base64.b64encode(b"\xff").decode()}}
    assert [field.value for field in portal.fields("BearerToken", broken)] == ["(not readable)"] * 2
