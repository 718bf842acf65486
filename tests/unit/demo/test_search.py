"""What the demo looks for in all that it has written: a plaintext of any kind, also as a Secret's data holds it."""

import base64

import pytest

from demo.search import Place, search
from scim_api.contract.tokens import PREFIXES, TokenKind, new_token


@pytest.mark.parametrize("kind", PREFIXES)
@pytest.mark.parametrize("spelled", ["plain", "base64"])
def test_a_plaintext_of_each_kind_is_found(kind: TokenKind, spelled: str) -> None:
    plaintext = new_token(kind).encode()
    written = plaintext if spelled == "plain" else base64.b64encode(plaintext)
    places = [Place("files", "clean", b"nothing"), Place("files", "spoiled", b'{"x": "' + written + b'"}')]
    assert search(places).found == {"spoiled": 1}
