"""docs/mail.md explains each line and each subject that a mail about an error can have."""

import re
from dataclasses import replace

import pytest

from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.summary import facts, label
from tests.docs.blocks import ROOT
from tests.reporting.mails.test_message import GROUP, REPORT

TEXT = (ROOT / "docs" / "mail.md").read_text("utf-8")
EXPLAINED = {
    name
    for cell in re.findall(r"^\| ([^|]*) \|", TEXT, re.MULTILINE)
    for name in cell.removesuffix(" ...").split(", ")
}


@pytest.mark.parametrize("kind", Kind)
def test_each_reason_for_a_mail_is_explained(kind: Kind) -> None:
    assert label(Alert(kind, 1, 1)) in EXPLAINED


def test_each_line_of_the_summary_is_explained() -> None:
    report = replace(REPORT, logger="shop")
    lines = {name for name, _ in facts(GROUP, report)} - {"User-Agent"}  # a field of the request
    assert len(lines) > 10
    assert lines <= EXPLAINED
