import asyncio

import pytest
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from quartapp.flasklike.wrappers.body import READ_AHEAD, Body


def body_of(*parts: bytes, limit: int | None = None, announced: int | None = None) -> Body:
    body = Body(announced, limit)
    for part in parts:
        body.append(part)
    body.set_complete()
    return body


async def test_is_read_whole_or_in_parts() -> None:
    assert await body_of(b"one ", b"two") == b"one two"
    body = body_of(b"one ", b"two")
    assert [part async for part in body] == [b"one two"]
    assert [part async for part in body] == []


async def test_parts_are_given_out_as_they_arrive() -> None:
    body = Body(None, None)

    async def arrive() -> None:
        for part in (b"one", b"two"):
            await asyncio.sleep(0.01)
            body.append(part)
        body.set_complete()

    task = asyncio.create_task(arrive())
    assert [part async for part in body] == [b"one", b"two"]
    await task


@pytest.mark.parametrize("announced", [None, 6])
async def test_more_than_the_limit_is_refused_whichever_way_it_is_read(
    announced: int | None,
) -> None:
    with pytest.raises(RequestEntityTooLarge):
        await body_of(b"123", b"456", limit=5, announced=announced)
    with pytest.raises(RequestEntityTooLarge):
        _ = [part async for part in body_of(b"123", b"456", limit=5, announced=announced)]
    assert await body_of(b"12345", limit=5, announced=5) == b"12345"


async def test_an_announced_length_is_refused_before_anything_arrives() -> None:
    body = Body(6, 5)
    with pytest.raises(RequestEntityTooLarge):
        await body


async def test_parts_read_before_count_against_the_limit() -> None:
    body = Body(None, 5)
    body.append(b"1234")
    assert await anext(body) == b"1234"
    body.append(b"56")
    with pytest.raises(RequestEntityTooLarge):
        await anext(body)


async def test_the_limit_may_be_changed_until_reading_begins() -> None:
    body = body_of(b"123456", limit=5)
    body.max_content_length = 6
    assert await body == b"123456"
    body = body_of(b"123456", limit=None)
    body.max_content_length = 5
    with pytest.raises(RequestEntityTooLarge):
        await body
    body = Body(None, None)
    body.append(b"123456")
    await anext(body)
    body.max_content_length = 5
    body.append(b"7")
    assert await anext(body) == b"7"


async def test_nothing_is_kept_of_what_comes_after_the_limit() -> None:
    body = Body(None, 5)
    reading = asyncio.ensure_future(body._read())
    await asyncio.sleep(0)
    body.append(b"123")
    body.append(b"456")
    body.append(b"789")
    assert body._data == b""
    with pytest.raises(RequestEntityTooLarge):
        await reading


async def test_a_fast_client_waits_for_a_slow_reader() -> None:
    body = Body(None, None)
    body.append(b"x" * READ_AHEAD)
    waiting = asyncio.ensure_future(body.wait_for_room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await anext(body)
    await asyncio.wait_for(waiting, 60)


async def test_awaiting_the_whole_makes_room() -> None:
    body = Body(None, None)
    body.append(b"x" * READ_AHEAD)
    waiting = asyncio.ensure_future(body.wait_for_room())
    await asyncio.sleep(0)
    whole = asyncio.ensure_future(body._read())
    await asyncio.wait_for(waiting, 60)
    body.set_complete()
    assert len(await whole) == READ_AHEAD


@pytest.mark.slow
async def test_the_time_spent_waiting_is_limited_in_all() -> None:
    body = Body(None, None)
    body.timeout = 0.5
    body.append(b"x")

    async def trickle() -> None:
        while True:
            await asyncio.sleep(0.05)
            body.append(b"x")

    async def read_all() -> None:
        async for part in body:
            parts.append(part)  # noqa: PERF401  # those before the error are wanted

    parts: list[bytes] = []
    task = asyncio.create_task(trickle())
    with pytest.raises(RequestTimeout):
        await read_all()
    task.cancel()
    assert 1 <= len(parts) <= 11
    assert body.timed_out
