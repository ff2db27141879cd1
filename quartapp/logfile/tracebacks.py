"""The traceback of an error as text for the log: what a report shows, without the locals.

Made for every error, also where a report is made of the first ones only, so it reads no more than
it prints; but for the secrets, which it looks for wherever a report does.
"""

from functools import lru_cache
from types import TracebackType

from quartapp.redact.chain import calls, chain, shortened
from quartapp.redact.collect import SecretCollector, locals_of
from quartapp.redact.introspection import qualified
from quartapp.redact.messages import MESSAGE, message_of, notes_of
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.redact.source import line_of

_BETWEEN = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
    "member": "The above exception is a member of the following group:",
}


class Traceback:
    """An exception and those behind it, read but not yet scrubbed.

    Looks like Python's, with the calls inside libraries folded. `collector` holds the secrets seen
    in locals; a caller that knows of more adds them before it asks for the text.
    """

    def __init__(self, error: BaseException, places: Places) -> None:
        self.collector = SecretCollector()
        self._places = places
        self._lines: list[str] = []
        # what is to be scrubbed, and the lines in which it stands
        self._texts: list[str] = []
        self._at: list[int] = []
        self._source: list[str] = []
        self._source_at: list[int] = []
        for exception, relation in reversed(chain(error)):
            self._read(exception)
            if relation:
                self._lines += ["", _BETWEEN[relation], ""]

    def text(self, message: str, scrubber: Scrubber) -> tuple[str, str]:
        """The message of the record and the traceback, scrubbed together."""
        clean = scrubber.clean(
            [message, *self._texts], secrets=self.collector.secrets, source=self._source
        )
        for line, text in zip(self._at, clean[1:], strict=False):
            before = self._lines[line]
            text = _cut(text)
            self._lines[line] = f"{before}: {text}" if before and text else before or text
        for line, text in zip(self._source_at, clean[1 + len(self._texts) :], strict=True):
            self._lines[line] = f"    {text.strip()}"
        return _cut(clean[0]), "\n".join(self._lines)

    def _read(self, error: BaseException) -> None:
        walked, left_out = shortened(calls(error.__traceback__))
        self.collector.named("", error)
        if walked:
            self._lines.append("Traceback (most recent call last):")
            self._read_calls(walked)
        if left_out:
            self._lines.append(f"  … {left_out} more calls")
        self._put(qualified(type(error)), message_of(error))
        for note in notes_of(error):
            self._put("", note)

    def _read_calls(self, walked: list[TracebackType]) -> None:
        folded: list[str] = []
        last = walked[-1]
        for call in walked:
            code = call.tb_frame.f_code
            name, in_app, _ = self._places.of(code.co_filename)
            if not in_app and call is not last:
                folded.append(name)
                continue
            if folded:
                self._lines.append(_folded(tuple(folded)))
                folded = []
            self._lines.append(f'  File "{name}", line {call.tb_lineno}, in {code.co_qualname}')
            if in_app:
                self._read_frame(call, code.co_filename)

    def _read_frame(self, call: TracebackType, filename: str) -> None:
        for name, value in locals_of(call.tb_frame):
            self.collector.named(name, value)
        source = line_of(filename, call.tb_lineno)
        if source:
            self._source_at.append(len(self._lines))
            self._source.append(source)
            self._lines.append("")

    def _put(self, before: str, text: str) -> None:
        self._at.append(len(self._lines))
        self._texts.append(text)
        self._lines.append(before)


@lru_cache(maxsize=1024)  # the way through the libraries is nearly always the same
def _folded(names: tuple[str, ...]) -> str:
    packages = dict.fromkeys(name.partition("/")[0].removesuffix(".py") for name in names)
    return f"  … {len(names)} in {', '.join(packages)}"


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"
