"""A TLS handshake without a network, with the authority of a cluster that is not strict's idea of one."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from localcluster.pki import SERVER, Authority

NAME: Final = "scim.test"


def plain_authority(directory: Path, *, key_identifiers: bool = False) -> Path:
    """An authority, by default without key identifiers, and a certificate of it for ``NAME``; the authority's file."""
    authority = Authority.create(directory, "authority", key_identifiers=key_identifiers)
    authority.issue("server", NAME, SERVER, names=(NAME,))
    return directory / "authority.crt"


def strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """As Python makes it from 3.13 on."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def make_defaults_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have default contexts be what they are from Python 3.13 on."""
    make: Callable[..., ssl.SSLContext] = ssl.create_default_context

    def as_of_python_3_13(*arguments: Any, **how: Any) -> ssl.SSLContext:
        return strict(make(*arguments, **how))

    monkeypatch.setattr(ssl, "create_default_context", as_of_python_3_13)


def is_strict(context: ssl.SSLContext) -> bool:
    """Whether it asks for RFC 5280's profile to the letter."""
    return bool(context.verify_flags & ssl.VERIFY_X509_STRICT)


def shake_hands(client: ssl.SSLContext, directory: Path, name: str = NAME) -> None:
    """Raises ``ssl.SSLCertVerificationError`` when the client does not take the certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "server.crt", directory / "server.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    ]
    while sides:
        for side in tuple(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass
