"""What must not be in a support archive is recognised by its form, and what belongs into one is not."""

import itertools

import pytest

from kubectl_scim.bundle import patterns
from scim_api.contract import signing_secret, tokens

BASIC = "dXNlcjpwYXNzd29yZA=="


@pytest.mark.parametrize("kind", tokens.PREFIXES)
def test_our_tokens_are_those_of_the_contract(kind: tokens.TokenKind) -> None:
    made = tokens.new_token(kind)
    assert patterns.TOKEN.fullmatch(made)
    assert tokens.PATTERN.fullmatch(made)
    assert {one[0] for one in tokens.PREFIXES.values()} == {"s"}
    assert not patterns.TOKEN.fullmatch(made[:-1])


def _found(text: str) -> set[str]:
    return {what for what, pattern in patterns.SECRETS if pattern.search(text)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"came with {tokens.new_token()}", "token of this SCIM API"),
        ("came with sct_0123456789012345678901 cut short", "token of this SCIM API"),
        (f"signed with {signing_secret.new_secret()}", "signing secret"),
        ("signed with whsec_%2F5mYpkxnqvUm6sVKQjGzVX3OIBS1kd%2BaCB6kS%2FcW8Q8%3D", "signing secret"),
        ("signed with whsec_%252F5mYpkxnqvUm6sVKQjGzV", "signing secret"),
        (r"signed with whsec_\/5mYpkxnqvUm6sVKQjGzV", "signing secret"),
        (r"signed with whsec_\u002f5mYpkxnqvUm6sVKQjGzV", "signing secret"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "JSON Web Token"),
        ("x=eyJhbGciOiJSUzI1NiJ9%252EeyJzdWIiOiJ4In0", "JSON Web Token"),
        ("x=eyJhbGciOiJSUzI1NiJ9%2EeyJzdWIiOiJ4In0", "JSON Web Token"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
            "private key or certificate",
        ),
        (r'"-----BEGIN PRIVATE KEY-----\nMHcCAQEE"', "private key or certificate"),
        (f"Authorization: Basic {BASIC}", "Authorization header"),
        (rf'{{"headers": {{"authorization": "{BASIC}"}}}}', "Authorization header"),
        (rf'"msg": "{{\"Authorization\": \"{BASIC}\"}}"', "Authorization header"),
        (f"[(b'authorization', b'Basic {BASIC}')]", "Authorization header"),
        (f"it sent Basic {BASIC}", "Authorization header"),
        ("it sent bearer abcdefgh1", "Authorization header"),
        ("postgresql://scim:hunter2@db.example.com/scim", "credentials in a URL"),
        ("postgresql://scim:p%40ss@[::1]:5432/scim", "credentials in a URL"),
        ("?sslmode=require&password=hunter2", "value of a secret setting"),
        ('"client_secret": "hunter2"', "value of a secret setting"),
        ("client_assertion%3Dabc", "value of a secret setting"),
        ("client_assertion%253Dabc", "value of a secret setting"),
        ("%22client_secret%22%3A%22abc%22", "value of a secret setting"),
    ],
    ids=itertools.count(),  # some are made anew by each process
)
def test_secrets_are_recognised_by_their_form(text: str, what: str) -> None:
    assert what in _found(text)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('"password": "ab\'cdefgh", "n": 1', "cdefgh"),
        ('password: "it\'s me hunter2"', "hunter2"),
        (r'{"client_secret": "abc\"def"}', "def"),
        (r'"msg": "{\"client_secret\": \"abc\\\"def\"}"', "def"),
        ("client_secret=abc,def", "def"),
        ("?sslmode=require&sslpassword=hunter2", "hunter2"),
        ("PGPASSWORD=hunter2", "hunter2"),
        ("dbPassword: hunter2", "hunter2"),
        ('Authorization: Digest username="ada", response="deadbeef"', "deadbeef"),
        ("Cookie: a=b; session=deadbeef1", "deadbeef1"),
        ('"set-cookie": "a=b; session=deadbeef1", "status": 200', "deadbeef1"),
    ],
    ids=itertools.count(),
)
def test_no_part_of_a_secret_is_left(text: str, rest: str) -> None:
    for _, pattern in patterns.SECRETS:
        text = pattern.sub("", text)
    assert rest not in text


def test_what_stands_behind_a_secret_stays() -> None:
    text = '{"password": "hunter2", "client_secret": "", "status": 200}'
    for _, pattern in patterns.SECRETS:
        text = pattern.sub("", text)
    assert text.endswith(', "client_secret": "", "status": 200}')


@pytest.mark.parametrize(
    "text",
    [
        'emails.value co "lovelace"',
        'emails[type eq "work"].value eq "lovelace"',
        "emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22lovelace%22",
    ],
)
def test_names_are_found_behind_a_path(text: str) -> None:
    assert any(found["value"] == "lovelace" for pattern in patterns.NAMES for found in pattern.finditer(text))


@pytest.mark.parametrize(
    "text",
    [
        '"spec": {"secret": {"name": "entra-scim-token"}, "auth": {"type": "BearerToken"}}',
        "entra.microsoft.com: Bearer authentication",
        "https://scim.example.com/scim/v2 answers as a SCIM API and asks for a token",
        "Secret entra-scim-token has 1d400894c9f85db4",
        r"az rest --body \"{\\\"@odata.id\\\":\\\"https://graph.microsoft.com/v1.0/directoryObjects/1\\\"}\"",
        'pods is forbidden: User "system:serviceaccount:team:looker" cannot list resource "pods"',
        '"keys": ["client-secret", "password", "token"]',
        "image: registry.example.com/scim-api:0.1.0@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6",
    ],
)
def test_what_belongs_into_an_archive_is_no_secret_and_nobody(text: str) -> None:
    assert not _found(text)
    assert not patterns.EMAIL.search(text)
    assert not any(pattern.search(text) for pattern in patterns.NAMES)
    assert not any(patterns.is_random(one[0]) for one in patterns.RANDOM.finditer(text))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("to ada@example.com.", "ada@example.com"),
        ("<ada.l+x@mail.example.co.uk>", "ada.l+x@mail.example.co.uk"),
        ("?filter=userName%20eq%20%22ada%40example.com%22", "ada%40example.com"),
        ("next=%2FUsers%3Fx%3Dada%2540example.com", "ada%2540example.com"),
        (r"\"m\u00fcller@example.com\"", r"m\u00fcller@example.com"),
        ("mueller@bücher.example", "mueller@bücher.example"),
        ("ada@corp", "ada@corp"),
        ('"ada lovelace"@example.com', '"ada lovelace"@example.com'),
    ],
)
def test_addresses_are_found_whole_in_each_spelling(text: str, address: str) -> None:
    found = patterns.EMAIL.search(text)
    assert found is not None
    assert found[0] == address


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"userName": "ada"}', "ada"),
        (r'"body": "{\"userName\":\"ada\",\"active\":true}"', "ada"),
        (r'"userName": "a \"countess\" l"', r"a \"countess\" l"),
        ("{'userName': 'ada'}", "ada"),
        ("body=%7B%22userName%22%3A%20%22ada%22%7D", "ada"),
        ("body=%257B%2522userName%2522%253A%2522ada%2522%257D", "ada"),
        ("next=%2FUsers%3FuserName%3Dada%26count%3D1", "ada"),
        ("next=%252FUsers%253FuserName%253Dada%2526count%253D1", "ada"),
        ('filter=userName eq "ada"', "ada"),
        ("filter=externalId%20eq%20%22ada%22&count=1", "ada"),
        ("userName+eq+%22ada%22", "ada"),
        ('userName eq "o\'hara"', "o'hara"),
        ("'user_name=o'hara'", "o'hara"),
        ("user_name=ada status=200", "ada"),
        ('displayName="Ada Lovelace" status=200', "Ada Lovelace"),
        ("displayName: Ada Lovelace, active", "Ada Lovelace"),
        ('pods is forbidden: User "ada" cannot list resource "pods"', "ada"),
        (r'"why": "pods is forbidden: User \"ada\" cannot list resource \"pods\""', "ada"),
    ],
)
def test_names_of_people_are_found_where_they_are_said_to_be_names(text: str, name: str) -> None:
    assert name in {found["value"] for pattern in patterns.NAMES for found in pattern.finditer(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k" * 20 + "K1" * 10, True),
        ("kKkK" * 8 + "123", True),
        ("kKkK" * 8 + "12", False),
        ("v1/servicePrincipals/1834e245-5553-4000-9af6-343fcd7734cb/owners/2", False),
        ("oneTwo3/1834e245-5553-4000-9af6-343fcd7734cb/appRoleAssignments1", False),
        ("1834e245-5553-4000-9af6-343fcd7734cb" + "aB1" * 11, True),
        ("9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6", False),
        ("SCIM_OPERATOR_REQUESTED_ROTATION_SECONDS_1234", False),
        ("OAuthClientCredentialsGrantWithCertificate1", False),
    ],
)
def test_random_text_has_both_cases_and_digits(text: str, expected: bool) -> None:
    assert patterns.is_random(text) is expected
