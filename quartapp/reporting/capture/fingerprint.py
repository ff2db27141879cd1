"""Which errors are the same error."""

import logging
import re
from collections.abc import Iterator
from hashlib import blake2b

from quartapp.redact.chain import calls, chain
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.places import Places

VERSION = 1

# The name that a module had when the first groups were named after it. With it, later errors still
# belong to the group in the database, although the module has moved.
_FORMER_NAMES = {
    "quartapp.database.drivers.driver": "quartapp.database.onehop",
    "quartapp.database.drivers.fifo_pool": "quartapp.database.fairness",
    "quartapp.database.drivers.onehop": "quartapp.database.onehop",
    "quartapp.flasklike.dispatch": "quartapp.flasklike.handling",
    "quartapp.flasklike.wrappers.response": "quartapp.flasklike.responses",
}

# what differs between messages of one log statement that formats the message itself
_VARYING = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b|'[^']*'|\"[^\"]*\"|\d+", re.I
)
_LONGEST_MESSAGE = 500


def fingerprint(subject: BaseException | logging.LogRecord, places: Places) -> str:
    """The name of the group: 32 hexadecimal digits, a hyphen and `VERSION` (34 characters).

    It depends on the type of each exception of the chain and on the files and functions of the
    application that it went through, not on line numbers, messages or ids. For a log record without
    an exception it depends on the logger, the message before formatting and the place. A str in
    `exc.__fingerprint__` replaces all of this. Never raises.
    """
    error = exception_of(subject)
    if error is None:
        assert isinstance(subject, logging.LogRecord)
        parts = list(_of_record(subject, places))
    else:
        parts = _chosen(error) or list(_of_chain(error, places))
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return f"{blake2b(text, digest_size=16).hexdigest()}-{VERSION}"


def _chosen(error: BaseException) -> list[str] | None:
    try:
        chosen = getattr(error, "__fingerprint__", None)
    except (Exception, SystemExit):  # noqa: BLE001 - a property is foreign code
        return None
    return ["chosen", chosen[:_LONGEST_MESSAGE]] if type(chosen) is str else None


def _of_chain(error: BaseException, places: Places) -> Iterator[str]:
    members: dict[str, None] = {}
    for exception, relation in chain(error):
        part = f"{relation} {qualified(type(exception))} {' '.join(_path(exception, places))}"
        if relation == "member":
            members[part] = None
        else:
            yield part
    # tasks of a group fail in any order, and in any number
    yield from sorted(members)


def _path(exception: BaseException, places: Places) -> Iterator[str]:
    """The application's functions, each once, so that the depth of a recursion does not matter."""
    functions: dict[str, None] = {}
    walked = calls(exception.__traceback__)
    for call in walked:
        code = call.tb_frame.f_code
        _, in_app, identity = places.of(code.co_filename)
        if in_app:
            functions[f"{identity}:{code.co_qualname}"] = None
    if functions or not walked:
        return iter(functions)
    module = str(dict.get(walked[-1].tb_frame.f_globals, "__name__"))
    return iter([_FORMER_NAMES.get(module, module)])


def _of_record(record: logging.LogRecord, places: Places) -> Iterator[str]:
    yield record.name
    message = record.msg if type(record.msg) is str else qualified(type(record.msg))
    yield _VARYING.sub("#", message[:_LONGEST_MESSAGE])
    yield f"{places.of(record.pathname).identity}:{record.funcName}"
