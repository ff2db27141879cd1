"""Form data, parsed by Werkzeug's rules while it arrives."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO, Any
from urllib.parse import parse_qsl

from quart.datastructures import FileStorage as QuartFileStorage
from quart.formparser import FormDataParser as QuartFormDataParser
from quart.formparser import MultiPartParser as QuartMultiPartParser
from quart.wrappers import Body
from werkzeug.datastructures import FileStorage as WerkzeugFileStorage
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from quartapp.flasklike.concurrency.awaiting import can_wait
from quartapp.flasklike.concurrency.threads import also_sync, in_thread

# Up to this size Werkzeug's default stream is in memory; a larger one is a file.
_MOST_IN_MEMORY = 500 * 1024


class FileStorage(QuartFileStorage):
    """An upload."""

    load = also_sync(QuartFileStorage.load)

    def save(self, destination: Any, buffer_size: int = 16384) -> Any:
        """Write it to a path. In asynchronous code, this is awaited; elsewhere as in Werkzeug."""
        if can_wait():
            WerkzeugFileStorage.save(self, destination, buffer_size)
            return None
        return super().save(destination, buffer_size)


class MultiPartParser(QuartMultiPartParser):
    """Feeds Werkzeug's decoder part by part.

    As in Werkzeug, a body that ends too early is an error. A form field larger than
    `max_form_memory_size` raises 413 while it arrives. An upload larger than 500 kB goes to a file,
    which is written in a thread.
    """

    async def parse(
        self, body: Body, boundary: bytes, content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, Any]]:
        decoder = MultipartDecoder(
            boundary, max_form_memory_size=self.max_form_memory_size, max_parts=self.max_form_parts
        )
        parts = _Parts(self, content_length)
        try:
            # Otherwise the loop would close them in a task, after an error.
            async with aclosing(_chunks(body, self.buffer_size)) as chunks:
                async for data in chunks:
                    decoder.receive_data(data)
                    await parts.feed(decoder)
        except BaseException:
            parts.close()
            raise
        return self.cls(parts.fields), self.cls(parts.files)


async def _chunks(body: Body, size: int) -> AsyncGenerator[bytes | None, None]:
    # The decoder applies its limit to each chunk, so chunks have the same size as in Werkzeug.
    waiting = bytearray()
    async for data in body:
        waiting += data
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)
    yield None


class _Parts:
    def __init__(self, parser: MultiPartParser, content_length: int | None) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, Any]] = []
        self._parser = parser
        self._content_length = content_length
        self._part: Field | File | None = None
        self._text: list[bytes] = []
        self._upload: IO[bytes] | None = None
        self._size = 0

    async def feed(self, decoder: MultipartDecoder) -> None:
        event = decoder.next_event()
        while not isinstance(event, (Epilogue, NeedData)):
            if isinstance(event, Field):
                self._part, self._text, self._size, self._upload = event, [], 0, None
            elif isinstance(event, File):
                self._part, self._size = event, 0
                self._upload = self._parser.start_file_streaming(event, self._content_length or 0)
            elif isinstance(event, Data):
                self._size += len(event.data)
                await self._write(event.data)
                if not event.more_data:
                    self._finish()
            event = decoder.next_event()

    async def _write(self, data: bytes) -> None:
        if self._upload is None:
            limit = self._parser.max_form_memory_size
            if limit is not None and self._size > limit:
                raise RequestEntityTooLarge
            self._text.append(data)
        elif self._size <= _MOST_IN_MEMORY:
            self._upload.write(data)
        else:
            await in_thread(self._upload.write)(data)

    def close(self) -> None:
        """Close the files, because parsing failed and nobody will get them."""
        for _, storage in self.files:
            storage.close()
        if self._upload is not None:
            self._upload.close()

    def _finish(self) -> None:
        part = self._part
        if isinstance(part, Field):
            charset = self._parser.get_part_charset(part.headers)
            self.fields.append((part.name, b"".join(self._text).decode(charset, "replace")))
        elif isinstance(part, File) and self._upload is not None:
            self._upload.seek(0)
            storage = self._parser.file_storage_cls(
                self._upload, part.filename, part.name, headers=part.headers
            )
            self.files.append((part.name, storage))


class FormDataParser(QuartFormDataParser):
    """Parses a body as a form. As in Werkzeug, malformed data is an empty form."""

    file_storage_class = FileStorage

    def get_parse_func(self, mimetype: str, options: dict[str, str]) -> Callable[..., Any] | None:
        return _PARSERS.get(mimetype)

    async def _parse_multipart(
        self, body: Body, mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[MultiDict[str, Any], MultiDict[str, Any]]:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("Missing boundary")
        parser = MultiPartParser(
            cls=self.cls or MultiDict,
            file_storage_cls=self.file_storage_class,
            max_content_length=self.max_content_length,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            stream_factory=self.stream_factory,
        )
        return await parser.parse(body, boundary, content_length)

    async def _parse_urlencoded(
        self, body: Body, mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[MultiDict[str, Any], MultiDict[str, Any]]:
        data = await body
        body.clear()
        cls = self.cls or MultiDict
        # Werkzeug's codec error handler keeps bytes that are not UTF-8 percent-encoded.
        items = parse_qsl(data.decode(), keep_blank_values=True, errors="werkzeug.url_quote")
        return cls(items), cls()


_PARSERS: dict[str, Callable[..., Any]] = {
    "multipart/form-data": FormDataParser._parse_multipart,
    "application/x-www-form-urlencoded": FormDataParser._parse_urlencoded,
}
