"""A secret planted in many places is in nothing that is stored or sent; each rule is needed."""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from quartapp.logfile.record import Cleaner
from quartapp.redact import (
    collect,
    messages,
    scrub,
    secret_patterns,
    values,
)
from quartapp.redact import secret_names as names
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.places import Places
from quartapp.redact.reading import attach
from quartapp.redact.scrub import Scrubber
from quartapp.redact.secret_patterns import SECRET_PATTERNS, SecretPattern
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.capture import builder as capture_module
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.mails.message import GroupSummary, Letterhead, build_message
from quartapp.reporting.report import Origin
from tests.reporting.canary import CANARY, CORE, PLANTINGS, Planted, known_secrets, leaks

PLACES = Places(Path(__file__).parent)


def outputs(planted: Planted, scrubber: Scrubber) -> Iterator[str]:
    """Everything that is made from an error: report as JSON, mail, entry of the log file."""
    subject, context = planted
    report, reading = capture(
        subject, context, now=0.0, places=PLACES, origin=Origin(), scrubber=scrubber
    )
    text = report.to_json()
    yield text + json.dumps(json.loads(text), ensure_ascii=False)
    group = GroupSummary(report.fingerprint, report.title, 1, 0.0, 0.0)
    letterhead = Letterhead("errors@example.com", ("ops@example.com",))
    mail = build_message(Alert(Kind.NEW, 1, 1), group, report, letterhead, now=0.0)
    yield str(mail["Subject"])
    for part in mail.iter_parts():
        yield part.get_content()
    if not isinstance(subject, logging.LogRecord):
        error = exception_of(subject)
        assert error
        info = (type(error), error, error.__traceback__)
        subject = logging.LogRecord("app", 40, __file__, 1, "failed", None, info)
    clean = Cleaner(places=PLACES, scrubber=scrubber, request_secrets=lambda: context)
    yield logging.Formatter("%(message)s").format(clean(subject))
    attach(subject, reading)  # as when the report is made before the line
    yield logging.Formatter("%(message)s").format(clean(subject))


def leaking(
    scrubber: Scrubber | None = None, plantings: Iterable[tuple[str, Planted]] | None = None
) -> Iterator[str]:
    """The names of the plantings whose secret shows; first what shows in the reports, then in the
    rest, as a mail takes ten times as long."""
    scrubber = scrubber or Scrubber(known=known_secrets())
    if plantings is None:
        plantings = ((name, plant()) for name, plant in PLANTINGS.items())
    made = {name: outputs(planted, scrubber) for name, planted in plantings}
    for of_one_kind in zip_longest(*made.values(), fillvalue=""):
        for name, output in zip(made, of_one_kind, strict=True):
            if leaks(output):
                yield name


@pytest.mark.slow
def test_the_secret_is_nowhere() -> None:
    assert len(PLANTINGS) >= 25
    assert not list(leaking())


@pytest.mark.parametrize("name", PLANTINGS)
def test_there_was_a_secret(name: str) -> None:
    subject, context = PLANTINGS[name]()
    assert capture(
        subject, context, now=0.0, places=PLACES, origin=Origin(), scrubber=Scrubber()
    ).report.title


def never(*_: object, **__: object) -> None:
    return None


def unchanged(text: str, *_: object) -> str:
    return text


def without_window(patch: pytest.MonkeyPatch) -> None:
    for module in (scrub, values, messages, capture_module):
        patch.setattr(module, "window", lambda shown: shown)


RULES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "names": lambda patch: patch.setattr(names, "_WORDS", re.compile("(?!)")),
    "by value": lambda patch: patch.setattr(scrub, "_without", unchanged),
    "in other forms": lambda patch: patch.setattr(scrub, "_written", lambda secret: {secret}),
    "in base64": lambda patch: patch.setattr(scrub, "_in_base64", lambda data: []),
    "beginnings": lambda patch: patch.setattr(scrub, "_HEAD", 10**9),
    "beyond the cut": without_window,
    "assignments": lambda patch: patch.setattr(secret_patterns, "assignments", unchanged),
    "literals": lambda patch: patch.setattr(secret_patterns, "literals", unchanged),
    "depth": lambda patch: patch.setattr(collect, "_DEPTH", 2),
    "fields": lambda patch: patch.setattr(collect, "_HELD", ()),
    "objects": lambda patch: patch.setattr(collect, "attributes_of", lambda value: {}),
    "headers": lambda patch: patch.setattr(
        capture_module, "_HEADERS", capture_module._HEADERS | {"x-internal"}
    ),
    "parts of headers": lambda patch: patch.setattr(collect, "_parts", lambda name, value: ()),
    "url": lambda patch: patch.setattr(collect.SecretCollector, "url", never),
    "numbers": lambda patch: patch.setattr(scrub, "hide_numbers", unchanged),
    "fields of named tuples": lambda patch: patch.setattr(values, "fields_of", lambda value: ()),
    "mail addresses": lambda patch: patch.setattr(names, "_MAIL", re.compile("(?!)")),
    "validator": lambda patch: patch.setattr(messages, "_CAREFUL", {}),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names._hides.cache_clear()
    with monkeypatch.context() as patch:
        RULES[rule](patch)
        found = any(leaking())
    names._hides.cache_clear()
    assert found


@pytest.mark.parametrize("pattern", SECRET_PATTERNS, ids=lambda pattern: pattern.name)
def test_each_pattern_is_needed(pattern: SecretPattern) -> None:
    others = [each for each in SECRET_PATTERNS if each != pattern]
    assert any(leaking(Scrubber(known=known_secrets(), only=others)))


@pytest.mark.slow
def test_what_the_settings_say_is_needed() -> None:
    assert set(leaking(Scrubber())) == {"a_setting_of_the_application"}


@pytest.mark.parametrize("field", ["form", "json", "path_args", "referrer_args", "headers"])
def test_each_part_of_the_context_is_read(field: str) -> None:
    def without(plant: Callable[[], Planted]) -> Planted:
        subject, context = plant()
        values = {name: getattr(context, name) for name in Context.__dataclass_fields__}
        values[field] = Context.__dataclass_fields__[field].default
        return subject, Context(**values)

    plantings = ((name, without(plant)) for name, plant in PLANTINGS.items())
    assert any(leaking(plantings=plantings))


def test_the_detector_sees_what_it_should() -> None:
    assert leaks(f"...{CANARY}...")
    assert leaks(CORE.encode().hex())
    assert not leaks(names.HIDDEN)
