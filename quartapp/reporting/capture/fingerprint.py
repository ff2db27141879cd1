"""Which errors are the same error.

A new rule is a further entry of `RULES`, and VERSION its number. The former rule stays: a group
that is new under the new rule inherits from its former one (see `counting.regrouping`).
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b

from quartapp.redact.chain import calls, chain
from quartapp.redact.introspection import attribute_of, exception_of, qualified
from quartapp.redact.places import Places

VERSION = 1
"""The number of the rule by which errors are grouped."""

_CHOICES = 1
"""At the end of the names that an application chooses: they are of no rule, and never change."""

Subject = BaseException | logging.LogRecord
Rule = Callable[[Subject, Places], Iterable[str]]

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


def fingerprint(subject: Subject, places: Places) -> str:
    """The name of the group: 32 hexadecimal digits, a hyphen and the number of the rule.

    It depends on the type of each exception of the chain and on the files and functions of the
    application that it went through, not on line numbers, messages or ids. For a log record without
    an exception it depends on the logger, the message before formatting and the place. A str in
    `exc.__fingerprint__` replaces all of this. Never raises.
    """
    error = exception_of(subject)
    chosen = None if error is None else _chosen(error)
    return _by_rule(VERSION, subject, places) if chosen is None else _by_choice(chosen)


def former_fingerprints(subject: Subject, places: Places) -> tuple[str, ...]:
    """The names that the group may have had under former rules, the last one first.

    They are that of a str in `exc.__former_fingerprint__`, that of this rule if
    `exc.__fingerprint__` replaces it, and those of the rules before. Never raises.
    """
    error = exception_of(subject)
    # without running code of the application: the group is known by now
    former = attribute_of(error, "__former_fingerprint__")
    is_chosen = attribute_of(error, "__fingerprint__") is not None
    versions = [each for each in sorted(RULES, reverse=True) if each < VERSION or is_chosen]
    return (
        *([_by_choice(former[:_LONGEST_MESSAGE])] if type(former) is str else []),
        *(_by_rule(version, subject, places) for version in versions),
    )


def _by_rule(version: int, subject: Subject, places: Places) -> str:
    return _name(RULES[version](subject, places), version)


def _by_choice(chosen: str) -> str:
    return _name(["chosen", chosen], _CHOICES)


def _name(parts: Iterable[str], version: int) -> str:
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return f"{blake2b(text, digest_size=16).hexdigest()}-{version}"


def _chosen(error: BaseException) -> str | None:
    try:
        chosen = getattr(error, "__fingerprint__", None)
    except (Exception, SystemExit):  # noqa: BLE001 - a property is foreign code
        return None
    return chosen[:_LONGEST_MESSAGE] if type(chosen) is str else None


def _first_rule(subject: Subject, places: Places) -> Iterator[str]:
    error = exception_of(subject)
    if error is not None:
        return _of_chain(error, places)
    assert isinstance(subject, logging.LogRecord)
    return _of_record(subject, places)


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


RULES: Mapping[int, Rule] = {1: _first_rule}
"""This rule and the former ones: what has to be equal, as texts."""
