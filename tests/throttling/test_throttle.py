"""Limits and waits: in memory with a clock that the test moves, and in Redis with its own."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable

import pytest
from quart import Quart

from quartapp.settings import ConfigurationError
from quartapp.throttling import Throttle, ThrottledError, init_app
from quartapp.throttling import counters as counters_module
from quartapp.throttling.counters import Counters
from quartapp.throttling.redis_counters import RedisCounters
from quartapp.throttling.settings import Limit, limit_of
from quartapp.throttling.throttle import LONGEST_CHECK, LONGEST_WAIT, in_words
from tests.conftest import REDIS


class Time:
    """A clock in seconds."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def throttle(time: Time) -> Throttle:
    return Throttle(Counters(clock=time))


@pytest.fixture
async def on_redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Throttle]:
    monkeypatch.setattr(counters_module, "PATIENCE", 30.0)  # on a busy machine it may take longer
    counters = Counters(RedisCounters(REDIS))
    yield Throttle(counters)
    assert not counters.is_away
    await counters.close()


@pytest.fixture
def limit() -> Limit:
    """Ten in fifteen minutes, under a name that no other test uses."""
    return limit_of("10 per 15 minutes", secrets.token_hex(8))


async def refused(work: Awaitable[object]) -> int:
    """The seconds to wait, of a call that is refused."""
    with pytest.raises(ThrottledError) as caught:
        await work
    assert caught.value.code == 429
    assert ("Retry-After", str(caught.value.retry_after)) in caught.value.get_headers()
    return caught.value.retry_after


async def guess(throttle: Throttle, limit: Limit, key: str) -> int:
    """Try a wrong secret; returns the seconds to wait then."""
    wait = await throttle.begin_try(limit, key)
    await throttle.fail_try(limit, key, wait=wait)
    return wait


async def test_a_window_begins_with_the_first_and_ends(
    throttle: Throttle, time: Time, limit: Limit
) -> None:
    for _ in range(10):
        await throttle.hit(limit, "here")
        time.now += 1
    assert await refused(throttle.hit(limit, "here")) == 900 - 10
    await throttle.hit(limit, "elsewhere")
    time.now += 889
    assert await refused(throttle.hit(limit, "here")) == 1
    time.now += 1
    await throttle.hit(limit, "here")
    assert throttle.refused == 2


async def test_only_the_first_beyond_a_limit_says_that_it_is(
    throttle: Throttle, limit: Limit
) -> None:
    firsts = []
    for _ in range(13):
        try:
            await throttle.hit(limit, "here")
        except ThrottledError as error:
            firsts.append(error.is_first)
    assert firsts == [True, False, False]


async def test_what_is_taken_back_does_not_count(throttle: Throttle, limit: Limit) -> None:
    for _ in range(30):
        await throttle.hit(limit, "here")
        await throttle.take_back(limit, "here")
    await throttle.take_back(limit, "nowhere")
    for _ in range(10):
        await throttle.hit(limit, "nowhere")
    assert await refused(throttle.hit(limit, "nowhere")) > 0


async def test_waits_double_from_one_second_to_a_quarter_of_an_hour(
    throttle: Throttle, time: Time, limit: Limit
) -> None:
    assert [await guess(throttle, limit, "a") for _ in range(9)] == [0] * 9
    waits = []
    for _ in range(13):
        waits.append(await guess(throttle, limit, "a"))
        assert await refused(guess(throttle, limit, "a")) == waits[-1]
        time.now += waits[-1] - 0.5
        assert await refused(guess(throttle, limit, "a")) == 1
        time.now += 0.5
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert LONGEST_WAIT == 900
    assert await guess(throttle, limit, "b") == 0


async def test_a_wait_begins_when_the_try_has_failed(
    throttle: Throttle, time: Time, limit: Limit
) -> None:
    """However long its check took. Meanwhile nothing else is checked."""
    for _ in range(9):
        await guess(throttle, limit, "a")
    wait = await throttle.begin_try(limit, "a")
    time.now += 14
    assert await refused(throttle.begin_try(limit, "a")) == 1
    await throttle.fail_try(limit, "a", wait=wait)
    assert await refused(throttle.begin_try(limit, "a")) == 1
    time.now += 1
    assert await throttle.begin_try(limit, "a") == 2
    time.now += LONGEST_CHECK  # its client has left
    assert await throttle.begin_try(limit, "a") == 2


async def test_the_right_secret_resets_the_waits(
    throttle: Throttle, time: Time, limit: Limit
) -> None:
    for _ in range(12):
        time.now += await guess(throttle, limit, "a")
    await throttle.end_tries(limit, "a")
    assert [await guess(throttle, limit, "a") for _ in range(10)] == [0] * 9 + [1]


async def test_waits_are_remembered_for_a_day(throttle: Throttle, time: Time, limit: Limit) -> None:
    """Otherwise ten guesses would be free in each quarter of an hour."""
    for _ in range(12):
        time.now += await guess(throttle, limit, "a")
    time.now += 3600
    assert await guess(throttle, limit, "a") == 8
    time.now += 24 * 3600
    assert await guess(throttle, limit, "a") == 0


async def test_tries_that_are_too_far_apart_are_free(
    throttle: Throttle, time: Time, limit: Limit
) -> None:
    for _ in range(5):
        assert [await guess(throttle, limit, "a") for _ in range(9)] == [0] * 9
        time.now += 900


async def test_without_limits_nothing_is_refused(limit: Limit) -> None:
    throttle = Throttle(Counters(), is_on=False)
    for _ in range(30):
        await throttle.hit(limit, "here")
        assert await guess(throttle, limit, "a") == 0
    assert throttle.counters.memory.size == 0


@pytest.mark.slow
@pytest.mark.redis
async def test_redis_counts_as_memory_does(on_redis: Throttle, limit: Limit) -> None:
    assert [await guess(on_redis, limit, "a") for _ in range(10)] == [0] * 9 + [1]
    assert await refused(guess(on_redis, limit, "a")) == 1
    await asyncio.sleep(1.05)
    assert await guess(on_redis, limit, "a") == 2
    assert await refused(guess(on_redis, limit, "a")) == 2
    await on_redis.end_tries(limit, "a")
    assert await guess(on_redis, limit, "a") == 0
    for _ in range(10):
        await on_redis.hit(limit, "here")
    assert await refused(on_redis.hit(limit, "here")) == 900
    for _ in range(2):
        await on_redis.take_back(limit, "here")
    await on_redis.hit(limit, "here")
    assert await on_redis.is_new(60, limit.name)
    assert not await on_redis.is_new(60, limit.name)


@pytest.mark.redis
async def test_tries_at_the_same_time_on_several_machines_do_not_pass_together(
    on_redis: Throttle, limit: Limit
) -> None:
    """Each of two processes sends twenty tries at a time."""
    other = Throttle(Counters(RedisCounters(REDIS)))
    tries = [each.begin_try(limit, "a") for each in (on_redis, other) for _ in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    await other.counters.close()
    assert sorted(result for result in results if isinstance(result, int)) == [0] * 9 + [1]
    assert sum(isinstance(result, ThrottledError) for result in results) == 30


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (890, "15 minutes")],
)
def test_waits_are_in_words(seconds: int, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("10 per 15 minutes", 10, 900),
        ("5/second", 5, 1),
        (" 2 / 3 Hours ", 2, 10_800),
        ("1 per day", 1, 86_400),
        ("7 per 2 months", 7, 5_184_000),
        ("12 per year", 12, 31_104_000),
    ],
)
def test_a_limit_is_a_text(text: str, amount: int, seconds: int) -> None:
    assert limit_of(text, "posts") == ("posts", amount, seconds)


def test_limits_of_different_names_and_windows_have_counters_of_their_own() -> None:
    limits = [limit_of("5 per hour", name) for name in ("a", "b")]
    limits += [limit_of("6 per hour", "a"), limit_of("5 per day", "a")]
    assert len({limit.key_for(*key) for limit in limits for key in (("x",), ("x", "y"))}) == 8


@pytest.mark.parametrize(
    "text",
    [
        *("", "ten", "10", "10 per fortnight", "0 per hour", "-1 per hour", "10 per 0 hours"),
        *("10 per hour; 5 per minute", "\N{ARABIC-INDIC DIGIT FIVE} per hour"),
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a limit"):
        limit_of(text)


@pytest.mark.slow
def test_an_application_gets_its_throttle_from_its_settings() -> None:
    app = Quart(__name__)
    app.config.update(THROTTLING=False)
    assert init_app(app).is_on is False
    app.config.update(REDIS_URL="mysql://host")
    with pytest.raises(ConfigurationError, match="REDIS_URL: expected an address such as redis://"):
        init_app(app)


@pytest.mark.slow
def test_redis_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "quartapp.throttling.redis_counters", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    app = Quart(__name__)
    app.config.update(REDIS_URL="redis://127.0.0.1/0")
    with pytest.raises(ConfigurationError, match='REDIS_URL: needs the extra "redis"'):
        init_app(app)
