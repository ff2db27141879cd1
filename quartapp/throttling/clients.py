"""Which clients are counted as one."""

from ipaddress import IPv6Address, IPv6Network, ip_address

_LONGEST = 64


def network_of(address: str | None) -> str:
    """The network that is counted as one client: an IPv4 address, or the /64 of an IPv6 address.

    Everybody who has an IPv6 address has at least a /64 (RFC 6177), so single addresses would limit
    nothing. What is no address (a proxy may say `unknown`) is one client under its own name.
    """
    text = (address or "").strip()[:_LONGEST]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))
