"""Sending the form of a page as a browser does: with its hidden fields, and so its CSRF token."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

Value = str | int | float | bool | None | Iterable[str]

_NOT_SENT = {"submit", "image", "button", "reset", "file"}


class FormError(AssertionError):
    """The page has no such form or field; the message lists what it has."""


@dataclass(slots=True)
class _Field:
    name: str
    kind: str
    value: str = ""
    is_sent: bool = True


@dataclass(slots=True)
class _Form:
    attributes: dict[str, str]
    fields: list[_Field] = field(default_factory=list)

    @property
    def title(self) -> str:
        known = (
            f"{key}={self.attributes[key]!r}"
            for key in ("id", "name", "action", "method")
            if self.attributes.get(key)
        )
        return f"<form {' '.join(known)}>" if self.attributes else "<form>"

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(each.name for each in self.fields if each.kind != "hidden"))


async def submit(client: Any, path: str, /, *, form: str = "", **values: Value) -> Any:
    """GET a page, fill its form, and send it; returns the response, without following a redirect.

    `client` is the test client of a Quart application or an httpx.AsyncClient. Hidden fields and
    those that are not given are sent as the page has them. True and False check and uncheck a box,
    None leaves a field out, a list chooses several options. The name of a button is given as
    `name=True`. Where a page has several forms, `form` names one by its id, name or action;
    otherwise the only one with all the given fields is sent.

    Raises FormError if the page does not answer 200, or has no such form or no such field.
    """
    page = await client.get(path)
    if page.status_code != 200:
        moved = f" to {page.headers['Location']}" if "Location" in page.headers else ""
        raise FormError(
            f"GET {path} answered {page.status_code}{moved}; the form is expected on a 200"
        )
    parser = _Parser()
    parser.feed(await _text(page))
    parser.close()
    chosen = _choose(parser.forms, path, form, set(values))
    pairs = _fill(chosen, values)
    target = urljoin(path, chosen.attributes.get("action") or path)
    if urlsplit(target).netloc:
        target = urlsplit(target)._replace(scheme="", netloc="").geturl()
    if chosen.attributes.get("method", "get").lower() != "post":
        return await client.get(f"{target.partition('?')[0]}?{urlencode(pairs)}")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(pairs)
    if hasattr(client, "base_url"):  # httpx
        return await client.post(target, content=body, headers=headers)
    return await client.post(target, data=body, headers=headers)


async def _text(response: Any) -> str:
    if hasattr(response, "get_data"):
        return str(await response.get_data(as_text=True))
    return str(response.text)


def _choose(forms: list[_Form], path: str, wanted: str, names: set[str]) -> _Form:
    if not forms:
        raise FormError(f"{path} has no form")
    listed = "\n".join(f"  {each.title}: {', '.join(each.names)}" for each in forms)
    fitting = forms
    if wanted:
        keys = ("id", "name", "action")
        fitting = [one for one in forms if wanted in map(one.attributes.get, keys)]
        if not fitting:
            raise FormError(f"{path} has no form {wanted!r}, but\n{listed}")
    elif len(forms) > 1:
        fitting = [one for one in forms if names and names <= {each.name for each in one.fields}]
    if len(fitting) > 1:
        raise FormError(f"{path} has several such forms; choose one with form=...:\n{listed}")
    if not fitting:
        raise FormError(f"no form of {path} has all of {', '.join(sorted(names))}:\n{listed}")
    return fitting[0]


def _fill(form: _Form, values: dict[str, Value]) -> list[tuple[str, str]]:
    known = {each.name for each in form.fields}
    if unknown := [name for name in values if name not in known]:
        missing = ", ".join(map(repr, unknown))
        raise FormError(f"{form.title} has no field {missing}, but {', '.join(form.names)}")
    pairs: list[tuple[str, str]] = []
    given: set[str] = set()
    for each in form.fields:
        if each.name not in values:
            if each.is_sent:
                pairs.append((each.name, each.value))
        elif each.name not in given:
            given.add(each.name)
            pairs += [(each.name, text) for text in _texts(form, each.name, values[each.name])]
    return pairs


def _texts(form: _Form, name: str, value: Value) -> list[str]:
    same = [each for each in form.fields if each.name == name]
    if value is None or value is False:
        return []
    if value is True:
        return [same[0].value]
    texts = [str(value)] if isinstance(value, str | int | float) else [str(one) for one in value]
    offered = [each.value for each in same if each.kind in {"option", "radio"}]
    if offered and (impossible := [text for text in texts if text not in offered]):
        raise FormError(f"{name!r} of {form.title} offers {offered}, not {impossible}")
    return texts


class _Parser(HTMLParser):
    """The forms of a page, with the fields that a browser would send."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._is_open = False
        self._select: tuple[str, bool, int] | None = None
        self._text: _Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(given))
            self._is_open = True
            return
        form = self._form(given)
        if form is None or "disabled" in given:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text").lower()
            boxes = kind in {"checkbox", "radio"}
            is_sent = "checked" in given if boxes else kind not in _NOT_SENT
            value = given.get("value", "on" if boxes else "")
            form.fields.append(_Field(name, kind, value, is_sent))
        elif tag == "button" and name:
            form.fields.append(_Field(name, "submit", given.get("value", ""), is_sent=False))
        elif tag == "textarea" and name:
            self._text = _Field(name, tag)
            form.fields.append(self._text)
        elif tag == "select" and name:
            self._select = (name, "multiple" in given, len(form.fields))
        elif tag == "option" and self._select:
            option = _Field(self._select[0], tag, given.get("value", ""), "selected" in given)
            form.fields.append(option)
            if "value" not in given:
                self._text = option

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False
        elif tag in {"textarea", "option"} and self._text is not None:
            if tag == "option":
                self._text.value = self._text.value.strip()
            self._text.value = self._text.value.removeprefix("\n")
            self._text = None
        elif tag == "select" and self._select is not None:
            _, is_multiple, first = self._select
            options = self.forms[-1].fields[first:]
            if options and not is_multiple and not any(each.is_sent for each in options):
                options[0].is_sent = True
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.value += data

    def _form(self, attributes: dict[str, str]) -> _Form | None:
        if owner := attributes.get("form"):  # a field outside its form
            return next((each for each in self.forms if each.attributes.get("id") == owner), None)
        return self.forms[-1] if self._is_open else None
