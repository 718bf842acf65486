"""Which addresses count as being on the internet, and which networks an administrator adds."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.outbound.addresses import AllowedNetworks, is_public


def test_networks_are_read_from_a_list() -> None:
    allowed = AllowedNetworks.read("10.0.0.0/8, fd00::/8")
    assert "10.1.2.3" in allowed
    assert "::ffff:10.1.2.3" in allowed
    assert "fd12::1" in allowed
    assert "192.168.0.1" not in allowed
    assert "localhost" not in allowed
    assert "10.0.0.1" not in AllowedNetworks.read("")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everything", "10.0.0.0/8;fd00::/8"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no network: write CIDRs"):
        AllowedNetworks.read(text)


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
