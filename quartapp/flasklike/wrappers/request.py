"""The request: Flask's rules, on a body that arrives asynchronously."""

import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flask.debughelpers import attach_enctype_error_multidict
from quart import current_app, has_app_context
from quart.datastructures import FileStorage as QuartFileStorage
from quart.wrappers import Request as QuartRequest
from werkzeug.datastructures import CombinedMultiDict, Headers, MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from quartapp.flasklike.routing import blueprints_of
from quartapp.flasklike.wrappers.body import Body
from quartapp.flasklike.wrappers.formparser import FormDataParser
from quartapp.flasklike.wrappers.unread import read_later

if TYPE_CHECKING:
    from hypercorn.typing import HTTPScope


class _Environ:
    """In the place of a WSGI environment: what the handlers of Flask's logging read of it."""

    def __getitem__(self, key: str) -> Any:
        if key == "wsgi.errors":
            return sys.stderr
        self._refuse(f"environ[{key!r}]", RuntimeError)

    def __contains__(self, key: object) -> bool:
        self._refuse(f"{key!r} in request.environ", RuntimeError)

    def __getattr__(self, name: str) -> Any:
        self._refuse(f"environ.{name}", AttributeError)

    def _refuse(self, what: str, error: type[Exception]) -> NoReturn:
        raise error(
            f"{what}: there is no WSGI environment; write request.headers, request.remote_addr,"
            " request.method ..., or request.scope, which is ASGI's"
        )


_ENVIRON = _Environ()


class Request(QuartRequest):
    """A request whose body, form, files and JSON fail as Flask's do.

    `max_content_length` may be set in a view before the body is read. The body is read once, as raw
    data or as a form: after `form` or `files`, `get_data` returns nothing, unless it was called
    before them.

    What is awaited in asynchronous code, a synchronous function has without: ``request.form["x"]``.
    """

    body: Body
    body_class = Body
    form_data_parser_class = FormDataParser

    def __init__(
        self,
        method: str,
        scheme: str,
        path: str,
        query_string: bytes,
        headers: Headers,
        root_path: str,
        http_version: str,
        scope: "HTTPScope",
        *,
        max_content_length: int | None = None,
        body_timeout: int | None = None,
        send_push_promise: Callable[[str, Headers], Awaitable[None]],
    ) -> None:
        super().__init__(
            method,
            scheme,
            path,
            query_string,
            headers,
            root_path,
            http_version,
            scope,
            max_content_length=max_content_length,
            body_timeout=body_timeout,
            send_push_promise=send_push_promise,
        )
        self.body.timeout = body_timeout
        self._cached_data: bytes | None = None

    @property
    def environ(self) -> Any:
        """Only for "wsgi.errors", to which `App.logger` writes; the rest is refused."""
        return _ENVIRON

    @property
    def blueprints(self) -> list[str]:
        """The names of the view's blueprints, the innermost first."""
        rule = self.url_rule
        return [] if rule is None else blueprints_of(rule.endpoint)

    @property
    def max_content_length(self) -> int | None:
        """Bytes of the largest body; a larger one raises 413. Set None for the configured limit."""
        return super().max_content_length

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value
        self.body.max_content_length = self.max_content_length

    @property
    @read_later("request.form")
    async def form(self) -> MultiDict[str, str]:
        """The fields of the form in the body."""
        await self._load_form_data()
        return cast("MultiDict[str, str]", self._form)

    @property
    @read_later("request.files")
    async def files(self) -> MultiDict[str, QuartFileStorage]:
        """The uploads in the body."""
        await self._load_form_data()
        return cast("MultiDict[str, QuartFileStorage]", self._files)

    @property
    @read_later("request.values")
    async def values(self) -> CombinedMultiDict[str, str]:
        """`args`, then those of the form, unless the method is GET."""
        return await super().values

    @property
    def data(self) -> Coroutine[Any, Any, bytes]:
        """The body; nothing if it is a form, which is parsed."""
        data: Any = self.get_data(parse_form_data=True)
        return data  # type: ignore[no-any-return]  # not a str

    @property
    def json(self) -> Coroutine[Any, Any, Any]:
        """What `get_json` returns."""
        return self.get_json()

    @read_later("request.get_data()")
    async def get_data(  # type: ignore[override]  # three overloads for one union
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> str | bytes:
        """Read the rest of the body. As text, bytes that are not UTF-8 are replaced."""
        data = self._cached_data
        if data is None:
            if parse_form_data:
                await self._load_form_data()
            data = await self.body
            self.body.clear()
            if cache:
                self._cached_data = data
        return data.decode(errors="replace") if as_text else data

    @read_later("request.get_json()")
    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Parse the body as JSON, in UTF-8, UTF-16 or UTF-32.

        Another content type raises 415 and malformed data 400, unless *silent*. Both go through
        `on_json_loading_failed`, which may return a value instead.
        """
        if cache and self._cached_json[silent] is not Ellipsis:
            return self._cached_json[silent]
        if not (force or self.is_json):
            return None if silent else self.on_json_loading_failed(None)
        data = await self.get_data(cache=cache)
        try:
            result = self.json_module.loads(data)
        except ValueError as error:
            result = None if silent else self.on_json_loading_failed(error)
            if cache:
                self._cached_json[silent] = result
        else:
            if cache:
                self._cached_json = {False: result, True: result}
        return result

    def on_json_loading_failed(self, error: Exception | None) -> Any:
        """Raise 415 if there is no *error* (the content type was not JSON), else 400.

        The answer says what was wrong with the data in debug mode only.
        """
        if error is None:
            raise UnsupportedMediaType(
                "Did not attempt to load JSON data because the request"
                " Content-Type was not 'application/json'."
            )
        try:
            raise BadRequest(f"Failed to decode JSON object: {error}")
        except BadRequest as detailed:
            if has_app_context() and current_app.debug:
                raise
            raise BadRequest from detailed

    async def _load_form_data(self) -> None:
        async with self._parsing_lock:
            if self._form is not None:
                return
            if self._cached_data is None:
                self.body.open()
            self._form, self._files = await self.make_form_data_parser().parse(
                self._body_to_parse(), self.mimetype, self.content_length, self.mimetype_params
            )
            if (
                has_app_context()
                and current_app.debug
                and self.mimetype != "multipart/form-data"
                and not self._files
            ):
                self._say_why_files_are_missing()

    def _body_to_parse(self) -> Body:
        if self._cached_data is None:
            return self.body
        body = self.body_class(None, None)
        body.set_result(self._cached_data)
        return body

    def _say_why_files_are_missing(self) -> None:
        # Flask's helper reads attributes that are awaitable on this class.
        parsed = SimpleNamespace(form=self._form, files=self._files, mimetype=self.mimetype)
        attach_enctype_error_multidict(parsed)  # type: ignore[arg-type]
