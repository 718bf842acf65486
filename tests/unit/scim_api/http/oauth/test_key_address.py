"""Which URLs may be asked for keys, and which addresses are on the internet."""

from typing import Final

import pytest

from scim_api.contract.oauth import LOGIN_HOSTS
from scim_api.http.oauth.key_address import KeyHosts
from support.federation import KEYS_URL

HOSTS: Final = KeyHosts.read(",".join(LOGIN_HOSTS))
NAMED: Final = KeyHosts.read(
    "http://127.0.0.1:8099, https://keys.corp.example:8443/, http://[::1]:9000, Plain.Example"
)


def test_the_keys_of_entra_may_be_asked_for() -> None:
    address = HOSTS.address(KEYS_URL)
    assert address is not None
    assert (address.url.scheme, address.url.host, address.url.port, address.is_named) == (
        "https",
        "login.microsoftonline.com",
        443,
        False,
    )
    assert address.url.target == KEYS_URL.removeprefix("https://login.microsoftonline.com")
    assert address.url.authority == "login.microsoftonline.com"


@pytest.mark.parametrize(
    "url",
    [
        "https://LOGIN.microsoftonline.com/keys",
        "https://login.microsoftonline.com:443/k?appid=1",
        "https://login.windows.net",
    ],
)
def test_other_spellings_of_the_same_place_may(url: str) -> None:
    assert HOSTS.address(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://login.microsoftonline.com/keys",
        "http://login.microsoftonline.com:443/keys",
        "https://login.microsoftonline.com:8443/keys",
        "https://login.microsoftonline.com:0/keys",
        "https://login.microsoftonline.com:99999/keys",
        "https://login.microsoftonline.com./keys",
        "https://evil.login.microsoftonline.com/keys",
        "https://login.microsoftonline.com.evil.example/keys",
        "https://login.microsoftonline.com@evil.example/keys",
        "https://user:password@login.microsoftonline.com/keys",
        "https://login.microsoftonline.com:443@evil.example/keys",
        "https://evil.example\\@login.microsoftonline.com/keys",
        "https://login.microsoftonline.com\\@evil.example/keys",
        "https://login.microsoftonline.com/keys#fragment",
        "https://login.microsoftonline.com#@evil.example/",
        "https://login.microsoftonline.com/ke ys",
        "https://login.microsoftonline.com/keys\n",
        "https:///login.microsoftonline.com/keys",
        "https://login%2emicrosoftonline.com/keys",
        "https://login.microsoftonline.com%00.evil.example/",
        "https://loginmicrosoftonline.com/",
        "https://login。microsoftonline.com/",
        "https://169.254.169.254/metadata",
        "https://127.0.0.1/keys",
        "https://2130706433/keys",
        "https://[::1]/keys",
        "https://[::ffff:127.0.0.1]/keys",
        "ftp://login.microsoftonline.com/keys",
        "file:///etc/passwd",
        "HTTPS://login.microsoftonline.com/keys",
        "//login.microsoftonline.com/keys",
        "",
    ],
)
def test_every_other_url_may_not(url: str) -> None:
    assert HOSTS.address(url) is None


def test_a_named_origin_may_be_asked_in_clear_text_and_wherever_it_is() -> None:
    for url, authority in (
        ("http://127.0.0.1:8099/keys", "127.0.0.1:8099"),
        ("https://keys.corp.example:8443/keys", "keys.corp.example:8443"),
        ("http://[::1]:9000/", "[::1]:9000"),
    ):
        address = NAMED.address(url)
        assert address is not None
        assert address.is_named
        assert address.url.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/keys",
        "http://127.0.0.1:8098/keys",
        "https://127.0.0.1:8099/keys",
        "http://localhost:8099/keys",
        "https://keys.corp.example/keys",
        "http://keys.corp.example:8443/keys",
        "http://plain.example/keys",
        "https://login.microsoftonline.com/keys",
    ],
)
def test_nothing_beside_a_named_origin_may(url: str) -> None:
    assert NAMED.address(url) is None


def test_a_host_without_a_scheme_is_one_by_https_alone() -> None:
    address = NAMED.address("https://plain.example/keys")
    assert address is not None
    assert not address.is_named


def test_an_empty_list_lets_nothing_be_asked() -> None:
    assert KeyHosts.read(" , ") == KeyHosts()
    assert KeyHosts().address(KEYS_URL) is None


@pytest.mark.parametrize(
    "entry",
    ["*", "*.example.com", "https://a.example/keys", "a.example/keys", "a.example:8443", "ftp://a.example", "ä.example",
     "http://", "https://u@a.example", "-a.example", "http://a.example:0", "a b"],
)  # fmt: skip
def test_an_entry_that_is_neither_a_host_nor_an_origin_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host: write names such as login"):
        KeyHosts.read(f"good.example,{entry}")
