"""The archive's bytes: nothing planted comes out, wherever it stood."""

import base64
import io
import json
import random
import re
import string
import tarfile
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_scim.bundle.archive import FOLDER, Refused, build
from scim_api.contract import signing_secret, tokens


def _read(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        found = {}
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read().decode()
        return found


def test_the_texts_are_in_it_for_its_owner_alone_and_always_the_same() -> None:
    files = {"README.txt": "read me\n", "logs/a.log": "started\n"}
    content, redactor = build(files, [])
    assert _read(content) == {f"{FOLDER}/{name}": text for name, text in files.items()}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {(one.mode, one.uid, one.mtime) for one in tar.getmembers()} == {(0o600, 0, 0)}
    assert build(files, [])[0] == content
    assert (redactor.people, redactor.secrets) == (0, 0)


def test_something_suspicious_refuses_it_with_file_and_line() -> None:
    with pytest.raises(Refused) as refused:
        build({"logs/a.log": "one\n" + "\n".join(["two aB1" + "aB1" * 12] * 7)}, [])
    assert str(refused.value) == (
        "no archive is written, for it may hold what it must not: "
        + "; ".join(f"logs/a.log line {line}: long random text, such as a secret" for line in range(2, 7))
        + "; and 2 more"
    )
    with pytest.raises(Refused, match=r"the name logs/ada@example\.com"):
        build({"logs/ada@example.com": ""}, [])


LETTERS = string.ascii_letters + string.digits
PRINTABLE = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=8, max_size=40
)
_TOKENS = [tokens.new_token(kind) for kind in tokens.PREFIXES] + [signing_secret.new_secret()]
_JWT = st.lists(st.text(LETTERS + "-_", min_size=12, max_size=40), min_size=2, max_size=2).map(
    lambda parts: "eyJhbGciOi" + ".".join(parts)
)
_PEM = st.text(LETTERS + "+/", min_size=16, max_size=64).map(
    lambda body: f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
)
FORMS = st.one_of(st.sampled_from(_TOKENS), _JWT, _PEM)
WORD = st.text(string.ascii_lowercase + "äöüßñ" + string.digits, min_size=4, max_size=12)
ADDRESSES = st.builds("{}.{}@{}.example".format, WORD, WORD, WORD)
USERS = st.text(string.ascii_lowercase + "äéß'", min_size=7, max_size=14).map(lambda name: f"q{name}x")


def _coded(text: str) -> str:
    return quote(text, safe="")


def _planted(what: str, form: int) -> str:
    """A text that holds it, in one of the ways that logs and objects have."""
    header = base64.b64encode(f"client:{what}".encode()).decode()
    return [
        f"plain {what} text",
        json.dumps(f"it was\n{what}\nthen"),
        json.dumps({"message": f"it was {what}"}),
        json.dumps({"message": f"it was {what}"}, ensure_ascii=False),
        json.dumps({"event": json.dumps({"inner": [what]})}),
        f"GET /scim/v2/Users?x={_coded(what)}&count=1",
        f"GET /sign-in?next={_coded('/scim/v2/Users?x=' + _coded(what))}",
        json.dumps(f"it was {what}").replace("/", r"\/"),
        f"authorization: Basic {header}",
        f"'{what}'",
        f"[{what}]",
    ][form]


_MARKS = re.compile(r"\[redacted: [^]\n]*\]|person-\d+@redacted")


def _absent(what: str, files: dict[str, str]) -> str:
    text = _MARKS.sub("[]", "\n".join(files.values()))
    in_json = json.dumps(what)[1:-1]
    escaped = {what, in_json, in_json.replace("/", r"\/"), json.dumps(json.dumps(what))[3:-3]}
    escaped |= {_coded(what), _coded(_coded(what))}
    for one in escaped:
        assert one not in text
    assert base64.b64encode(f"client:{what}".encode()).decode() not in text
    return text


@settings(max_examples=60, deadline=None)
@given(
    secrets=st.lists(PRINTABLE.filter(lambda one: len(one.strip()) >= 8), max_size=3),
    forms=st.lists(FORMS, max_size=3),
    addresses=st.lists(ADDRESSES, max_size=3),
    users=st.lists(USERS, max_size=2),
    place=st.randoms(use_true_random=False),
)
def test_what_was_planted_never_comes_out(
    secrets: list[str], forms: list[str], addresses: list[str], users: list[str], place: random.Random
) -> None:
    files = {f"file-{number}": ["begin"] for number in range(3)}
    for what in (*secrets, *forms, *addresses, *users):
        for _ in range(2):
            lines = place.choice(list(files.values()))
            lines.append(_planted(what, place.randrange(11)))
    for user in users:
        place.choice(list(files.values())).append(
            place.choice([f'{{"userName": "{user}"}}', f'filter=userName eq "{user}"', f"user_name={user}"])
        )
    try:
        content, _ = build(
            {name: "\n".join(lines) for name, lines in files.items()}, [one.encode() for one in secrets]
        )
    except Refused:
        return  # nothing is written
    found = _read(content)
    for what in (*secrets, *forms):
        _absent(what, found)
    for person in (*addresses, *users):
        assert person.casefold() not in _absent(person, found).casefold()
