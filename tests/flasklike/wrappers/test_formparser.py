"""Werkzeug's parser is the reference, however the body is cut into messages."""

import asyncio
import io
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser as WerkzeugFormDataParser

from quartapp.flasklike.wrappers.body import Body
from quartapp.flasklike.wrappers.formparser import FormDataParser

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"

FIELD = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nsus\xc3\xa1n\r\n'
LATIN = (
    b'--b\r\nContent-Disposition: form-data; name="latin"\r\n'
    b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe1\r\n"
)
FILE = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n%s\r\n"
)
END = b"--b--\r\n"

BODIES = [
    (MULTIPART, FIELD + LATIN + FILE % (b"\x00" * 3000) + END),
    (MULTIPART, FIELD + FILE % b"truncated"),
    (MULTIPART, FIELD[:30]),
    (MULTIPART, b""),
    (MULTIPART, b"not multipart"),
    (URLENCODED, b"a=1&a=2&b=%C3%A9&empty=&bare"),
    (URLENCODED, b"a=%ff&b=ok"),
    (URLENCODED, b"a=\xff"),
    ("text/plain", b"a=1"),
    ("application/x-url-encoded", b"a=1"),
]


def contents(form: Any, files: Any) -> Any:
    read = []
    for name, file in files.items(multi=True):
        read.append((name, file.filename, file.content_type, file.stream.read()))
        file.stream.close()
    return list(form.items(multi=True)), read


def by_werkzeug(mimetype: str, data: bytes, options: dict[str, str], **limits: Any) -> Any:
    parser = WerkzeugFormDataParser(**limits)
    try:
        _, form, files = parser.parse(io.BytesIO(data), mimetype, len(data), options)
    except HTTPException as error:
        return error.code
    return contents(form, files)


async def by_us(
    mimetype: str, messages: list[bytes], options: dict[str, str], **limits: Any
) -> Any:
    body = Body(None, None)

    async def arrive() -> None:
        for message in messages:
            await body.wait_for_room()
            body.append(message)
            await asyncio.sleep(0)
        body.set_complete()

    arriving = asyncio.create_task(arrive())
    try:
        form, files = await FormDataParser(**limits).parse(
            body, mimetype, sum(map(len, messages)), options
        )
    except HTTPException as error:
        arriving.cancel()
        return error.code
    await arriving
    return contents(form, files)


@pytest.mark.slow
@given(
    case=st.sampled_from(BODIES),
    cuts=st.lists(st.integers(0, 400), max_size=5),
    memory=st.sampled_from([None, 10, 100, 500_000]),
    parts=st.sampled_from([None, 1, 1000]),
    boundary=st.sampled_from(["b", "", "é"]),
)
@settings(max_examples=300, deadline=None)
def test_parses_as_werkzeug_does(
    case: tuple[str, bytes],
    cuts: list[int],
    memory: int | None,
    parts: int | None,
    boundary: str,
) -> None:
    mimetype, data = case
    options = {"boundary": boundary}
    limits = {
        "max_form_memory_size": memory,
        "max_form_parts": parts,
        "stream_factory": lambda *_, **__: io.BytesIO(),  # Werkzeug leaves files of a bad form open
    }
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    messages = [data[a:b] for a, b in pairwise(places)]
    ours = asyncio.run(by_us(mimetype, messages, options, **limits))
    assert ours == by_werkzeug(mimetype, data, options, **limits)


async def test_a_large_upload_goes_to_a_file_and_comes_back_whole() -> None:
    content = bytes(range(256)) * 8192
    data = FILE % content + END
    messages = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    limits = {"max_form_memory_size": 500_000}
    _, files = await by_us(MULTIPART, messages, {"boundary": "b"}, **limits)
    assert files == [("file", "a.bin", "application/octet-stream", content)]


async def test_a_field_is_counted_over_all_its_parts() -> None:
    data = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 150_000 + b"\r\n" + END
    )
    messages = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    for limit, expected in ((100_000, 413), (150_000, ([("a", "x" * 150_000)], []))):
        limits = {"max_form_memory_size": limit}
        assert await by_us(MULTIPART, messages, {"boundary": "b"}, **limits) == expected
        assert by_werkzeug(MULTIPART, data, {"boundary": "b"}, **limits) == expected


async def test_the_files_of_a_refused_form_are_closed() -> None:
    opened: list[io.BytesIO] = []

    def open_file(*_: Any, **__: Any) -> io.BytesIO:
        opened.append(io.BytesIO())
        return opened[-1]

    data = FILE % b"one" + FILE % b"two" + FIELD + END
    answer = await by_us(
        MULTIPART, [data], {"boundary": "b"}, max_form_parts=2, stream_factory=open_file
    )
    assert answer == 413
    assert [file.closed for file in opened] == [True, True]


async def test_an_error_while_parsing_leaves_no_task() -> None:
    body = Body(None, None)
    body.append(FIELD[:30])
    body.set_complete()
    tasks = asyncio.all_tasks()
    form, files = await FormDataParser().parse(body, MULTIPART, None, {"boundary": "b"})
    assert (len(form), len(files)) == (0, 0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
