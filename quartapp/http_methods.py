"""What the methods and header fields of HTTP mean to several parts."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that request no change (RFC 9110, 9.2.1)."""


def is_foreign(site: str | None, origin: str | None, host: str | None) -> bool:
    """Whether a browser says (Sec-Fetch-Site, Origin) that another site caused a request."""
    if site is not None:
        return site not in {"same-origin", "none"}
    # Only the host is compared, because the scheme may be unknown behind a proxy.
    return origin is not None and origin.partition("://")[2] != host
