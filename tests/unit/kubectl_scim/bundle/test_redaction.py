"""Secrets and people are taken out of texts, the same person by the same pseudonym, and what is left is searched."""

import base64
import json
from collections.abc import Collection
from urllib.parse import quote

import pytest

from kubectl_scim.bundle.redaction import Redactor

VALUE = 'hunter2 "with" quotes & ümläuts'


def _clean(text: str, values: Collection[str] = ()) -> str:
    return Redactor([one.encode() for one in values]).cleaned({"file": text})["file"]


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        json.dumps(json.dumps({"x": VALUE})),
        quote(VALUE),
        quote(VALUE, safe="").replace("%C3", "%c3"),
        VALUE.encode().hex(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(b"u:" + VALUE.encode() + b"!").decode(),
        base64.urlsafe_b64encode(b"u" + VALUE.encode() + b"!!").decode(),
    ],
)
def test_a_value_of_a_secret_does_not_come_out_in_any_form(form: str) -> None:
    cleaned = _clean(f"before {form} after", [VALUE])
    assert "hunter2" not in cleaned
    assert VALUE.encode().hex() not in cleaned
    assert base64.b64encode(VALUE.encode())[4:-4].decode() not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "[redacted: value of a Secret]" in cleaned


def test_each_line_of_a_value_is_taken_out_and_what_is_short_is_left() -> None:
    assert _clean("a: first line\nb: second line\nc: on", ["first line\n  second line\non"]) == (
        "a: [redacted: value of a Secret]\nb: [redacted: value of a Secret]\nc: on"
    )


def test_the_same_person_has_the_same_pseudonym_in_all_files_and_spellings() -> None:
    redactor = Redactor([])
    cleaned = redactor.cleaned(
        {
            "a": "Ada@example.com, then grace@example.com",
            "b": "filter=userName%20eq%20%22ada%40example.com%22 by GRACE@EXAMPLE.COM",
        }
    )
    assert cleaned["a"] == "person-1@redacted, then person-2@redacted"
    assert cleaned["b"] == "filter=userName%20eq%20%22person-1@redacted%22 by person-2@redacted"
    assert redactor.people == 2


def test_a_name_that_one_file_gives_away_is_taken_out_of_all_but_no_key_is() -> None:
    cleaned = Redactor([]).cleaned(
        {
            "objects": '{"lovelace": {"message": "created lovelace, not lovelaces"}}',
            "log": r'{"event": "{\"userName\": \"Lovelace\"}"}',
        }
    )
    assert cleaned["objects"] == '{"lovelace": {"message": "created person-1@redacted, not lovelaces"}}'
    assert cleaned["log"] == r'{"event": "{\"userName\": \"person-1@redacted\"}"}'


@pytest.mark.parametrize(
    "text",
    [
        "next=%3Fx%3DLovelace",
        "next=%253Fx%253DLovelace",
        "next=%25253DLovelace%2526",
        r"a\nLovelace\u0026",
        r"\u0026Lovelace",
    ],
)
def test_a_name_is_taken_out_behind_what_is_encoded_too(text: str) -> None:
    cleaned = Redactor([]).cleaned({"a": '{"familyName": "Lovelace"}', "b": text})
    assert "Lovelace" not in cleaned["b"]


def test_a_secret_that_is_spelled_as_the_key_of_names_hides_none() -> None:
    cleaned = _clean('{"userName": "ada-lovelace"}\nada-lovelace has signed in', ["userName"])
    assert "ada-lovelace" not in cleaned
    assert "userName" not in cleaned


def test_a_name_of_two_letters_is_taken_out_where_it_is_one() -> None:
    assert _clean("userName=xi, xi") == "userName=person-1@redacted, xi"


def test_what_looks_like_a_pseudonym_at_work_is_no_way_out() -> None:
    assert _clean("a \U000f0001 b \U00100000 c") == "a ? b ? c"


def test_a_cleaned_text_has_nothing_suspicious_left() -> None:
    redactor = Redactor([b"hunter2"])
    files = {
        "image": "x@sha256:0a1b",
        "a": "ada@example.com with hunter2, Authorization: Basic dXNlcjpwYXNz and userName=grace",
    }
    assert list(redactor.suspicions(redactor.cleaned(files))) == []
    assert redactor.secrets == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hunter2", "value of a Secret"),
        ("x@example.com", "e-mail address"),
        ("by Grace.", "name of a person"),
        ("Bearer abc12345", "Authorization header"),
        ("aB1" * 12, "long random text, such as a secret"),
    ],
)
def test_what_escaped_is_told_with_its_line(text: str, what: str) -> None:
    redactor = Redactor([b"hunter2"])
    redactor.cleaned({"log": "userName=grace"})
    [found] = redactor.suspicions(
        {"log": "well\n" * 40 + f"person-1@redacted [redacted: signing secret]\n{text}" + "\nwell" * 40}
    )
    assert (found.file, found.line, found.what) == ("log", 42, what)
