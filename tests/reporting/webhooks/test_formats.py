"""What a webhook says, and how it is signed."""

import json
from typing import Any

import pytest

from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.endpoint import key_of
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.mails.summary import GroupSummary
from quartapp.reporting.report import Origin, Report
from quartapp.reporting.webhooks import formats, signing

HEAD = Letterhead("", (), app="shop", inbox_url="https://example.com/errors/")
ALERT = Alert(Kind.REGRESSION, 1, 2, 3, 1_900_000_000.0)
GROUP = GroupSummary(
    "abcd" * 8,
    "KeyError: 'x'",
    7,
    1_800_000_000.0,
    1_900_000_100.0,
    id=12,
    place="shop.views.buy",
    state="regressed",
)
REPORT = Report(
    id="r",
    fingerprint=GROUP.fingerprint,
    time=1.0,
    title="t",
    reference="abcd2345",
    origin=Origin(release="1.2", host="alpha"),
)
HOSTILE = (
    "<!channel> <!here> @channel @everyone <https://evil.example|click> *b* `code` &amp;"
    " [x](https://evil.example)\n\n> quote\u202e\x00 </script>"
)


def text_of(message: formats.Message) -> str:
    return str(json.loads(message.body)["text"])


def test_has_the_documented_members() -> None:
    message = formats.as_json(ALERT, GROUP, REPORT, HEAD, now=1_900_000_200.0)
    assert json.loads(message.body) == {
        "type": "error.regression",
        "timestamp": "2030-03-17T17:50:00+00:00",
        "data": {
            "app": "shop",
            "environment": "production",
            "kind": "regression",
            "reason": "This error was resolved, and is back.",
            "group": 12,
            "fingerprint": GROUP.fingerprint,
            "title": "KeyError: 'x'",
            "place": "shop.views.buy",
            "state": "regressed",
            "count": 3,
            "since": "2030-03-17T17:46:40+00:00",
            "total": 7,
            "first_seen": "2027-01-15T08:00:00+00:00",
            "last_seen": "2030-03-17T17:48:20+00:00",
            "link": "https://example.com/errors/12",
            "notes": {},
            "release": "1.2",
            "host": "alpha",
            "reference": "abcd2345",
        },
    }


def test_a_second_copy_has_the_same_id_and_another_alert_another_one() -> None:
    ids = [
        formats.as_json(alert, GROUP, None, HEAD, now=now).id
        for alert, now in ((ALERT, 1.0), (ALERT, 2.0), (Alert(Kind.NEW, 1, 1), 1.0))
    ]
    assert ids[0] == ids[1] != ids[2]
    assert "." not in ids[0]


def test_says_in_slacks_format_what_happened() -> None:
    assert text_of(formats.as_slack(ALERT, GROUP, REPORT, HEAD, now=1.0)).split("\n") == [
        "*REGRESSION* shop production",
        "`KeyError: 'x'` in `shop.views.buy`",
        "This error was resolved, and is back. 7 times in all.",
        "release `1.2`, host `alpha`, reference `abcd2345`",
        "<https://example.com/errors/12|Open in the inbox>",
    ]


def test_texts_of_a_report_are_neither_links_nor_mentions_nor_markup() -> None:
    group = GroupSummary(HOSTILE, HOSTILE, 7, 1.0, 2.0, id=1, place=HOSTILE, state="regressed")
    origin = Origin(release=HOSTILE, host=HOSTILE)
    report = Report(
        id="r", fingerprint="f", time=1.0, title=HOSTILE, reference=HOSTILE, origin=origin
    )
    lines = text_of(formats.as_slack(ALERT, group, report, HEAD, now=1.0)).split("\n")
    assert len(lines) == 5
    for line in (lines[1], lines[3]):
        assert not set("<>\x00\u202e") & set(line)
        assert "@channel" not in line
        assert "@everyone" not in line
        for outside in line.split("`")[::2]:  # nothing of the report is outside of code
            assert outside in {"", " in ", "release ", ", host ", ", reference "}
    [single] = [json.loads(formats.as_json(ALERT, group, report, HEAD, now=1.0).body)["data"]]
    assert "\n" not in single["title"]
    assert "\x00" not in single["title"]


@pytest.mark.parametrize("digest", [formats.digest_as_json, formats.digest_as_slack])
def test_a_digest_is_bounded(digest: Any) -> None:
    long = GroupSummary("f" * 32, "x&" * 5000, 10**12, 1.0, 2.0, id=1)
    message = digest([(ALERT, long)] * 5000, HEAD, now=1.0)
    body = json.loads(message.body)
    if "text" in body:
        assert len(body["text"]) <= 2000
        assert "more" in body["text"]
    else:
        assert body["type"] == "error.digest"
        assert body["data"]["alerts"] == 5000
        assert len(body["data"]["events"]) == 100


def test_a_single_message_is_short_enough_for_discord() -> None:
    long = "&" * 5000
    group = GroupSummary("f" * 32, long, 10**12, 1.0, 2.0, id=1, place=long)
    report = Report(
        id="r",
        fingerprint="f",
        time=1.0,
        title="t",
        reference=long,
        origin=Origin(long, long, long),
    )
    head = Letterhead("", (), app=long, environment=long, inbox_url="https://example.com")
    assert len(text_of(formats.as_slack(ALERT, group, report, head, now=1.0))) <= 2000


def test_signs_as_the_example_of_the_specification() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    fields = dict(
        signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', key, 1614265330.9)
    )
    assert fields == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in dict(signing.headers("msg", b"", b"", 1.0))
