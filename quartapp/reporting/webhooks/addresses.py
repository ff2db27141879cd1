"""Which addresses a webhook may lead to; pure.

A name that anybody may register can lead to any address: to this machine, to its network, or to
the service of a cloud that gives out credentials (169.254.169.254).
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")

_CREDENTIALS = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"))
)
"""The services of clouds (AWS, Google, Alibaba, Azure) whose address is not a link-local one."""


def why_refused(address: str, *, allows_private: bool = False) -> str:
    """Why nothing is sent to an address; "" if it is a public one.

    `allows_private` allows this machine and private networks, and never link-local addresses or the
    services of clouds.
    """
    try:
        found = _within(ip_address(address))
    except ValueError:
        return f"{address} is no address"
    is_never = found.is_link_local or found.is_multicast or found.is_unspecified
    if is_never or found in _CREDENTIALS:
        return f"{address} is an address that no webhook may have"
    if allows_private or _is_public(found):
        return ""
    return f"{address} is not a public address (see ERRORS_WEBHOOK_PRIVATE)"


def _within(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to by its form, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    # `is_global` alone is true of fec0::/10, and of ::/96 in some versions of Python.
    is_of_site = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_reserved and not is_of_site
