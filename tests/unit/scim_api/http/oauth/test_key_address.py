"""Which URLs may be asked for keys, and which addresses are on the internet."""

import ipaddress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.oauth import LOGIN_HOSTS
from scim_api.http.oauth.key_address import KeyHosts, is_public
from support.federation import KEYS_URL

HOSTS: Final = KeyHosts.read(",".join(LOGIN_HOSTS))
NAMED: Final = KeyHosts.read(
    "http://127.0.0.1:8099, https://keys.corp.example:8443/, http://[::1]:9000, Plain.Example"
)


def test_the_keys_of_entra_may_be_asked_for() -> None:
    address = HOSTS.address(KEYS_URL)
    assert address is not None
    assert (address.scheme, address.host, address.port, address.is_named) == (
        "https",
        "login.microsoftonline.com",
        443,
        False,
    )
    assert address.target == KEYS_URL.removeprefix("https://login.microsoftonline.com")
    assert address.authority == "login.microsoftonline.com"


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
        assert address.authority == authority


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


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3",
        "169.254.169.254", "100.64.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7",
        "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1", "2001:db8::1",
        "2001::1", "2001:10::1", "3fff::1", "4000::1", "64:ff9b:1::10.0.0.1", "64:ff9b:1::8.8.8.8",
        "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8",
        "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254", "", "localhost", "1", "127.1", "0x7f.0.0.1", "login.microsoftonline.com",
    ],
)  # fmt: skip
def test_an_address_that_is_not_on_the_internet_is_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["20.190.151.7", "40.126.32.140", "8.8.8.8", "172.32.0.1", "2603:1006:2000::e", "2a00:1450::1", "2002:808:808::1",
     "64:ff9b::20.190.151.7", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_an_address_on_the_internet_is_one(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_public_only_if_pythons_registry_says_so_too(
    address: ipaddress.IPv4Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast
    elif address.is_global and not address.is_multicast:
        assert str(address).startswith(("192.0.0.", "192.88.99.")) or str(address) == "168.63.129.16"


@given(st.ip_addresses(v=4), st.sampled_from(("::ffff:{}", "64:ff9b::{}")))
def test_an_ipv4_address_within_an_ipv6_one_counts_as_itself(
    address: ipaddress.IPv4Address, form: str
) -> None:
    assert is_public(form.format(address)) == is_public(str(address))


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_public_only_if_pythons_registry_says_so_too(
    address: ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)) and not (address.sixtofour or address.ipv4_mapped):
        assert address.is_global or address in ipaddress.IPv6Network("64:ff9b::/96")
        assert not address.is_multicast
