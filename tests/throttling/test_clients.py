"""Who is one client."""

import pytest

from quartapp.throttling import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 5000, "x" * 64),
        ("", ""),
        (None, ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address: str | None, network: str) -> None:
    assert network_of(address) == network
