"""Counters in Redis. Needs the extra "redis", and is imported only with REDIS_URL."""

import time

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool, Redis

from quartapp.throttling import counters

_CONNECTIONS = 16


class RedisCounters(RedisStorage):
    """Counters in Redis, over a few connections that it opens when they are needed."""

    STORAGE_SCHEME = None  # type: ignore[assignment]  # not registered: it is not made from an address

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=counters.PATIENCE,
            socket_timeout=counters.PATIENCE,
            socket_connect_timeout=counters.PATIENCE,
        )
        super().__init__(
            "async+redis://",
            implementation="redispy",
            key_prefix="quartapp",
            connection_pool=pool,  # type: ignore[arg-type]  # as the documentation of limits says
        )
        self._client = Redis.from_pool(pool)

    async def get_expiry(self, key: str) -> float:
        """In milliseconds, where the library has whole seconds."""
        left: int = await self._client.pttl(self.bridge.prefixed_key(key))
        return time.time() + max(left, 0) / 1000

    async def close(self) -> None:
        await self._client.aclose()
