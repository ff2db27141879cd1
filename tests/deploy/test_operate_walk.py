"""The rules of `make operate-walk` fit the documents. The walk itself takes minutes, and root."""

import re

from tests.docs.blocks import ROOT, blocks_of
from tests.system.operate_walk.__main__ import AFTER, BEFORE, DOCUMENTS, NOT_RUN, REPLACED

BLOCKS = [
    block
    for document in DOCUMENTS
    for block in blocks_of(ROOT / "docs" / f"{document}.md")
    if block.language == "sh"
]
LINES = [line for block in BLOCKS for line in block.commands()]


def test_each_rule_is_for_a_line_that_a_document_has() -> None:
    patterns = [*NOT_RUN, *REPLACED]
    assert [one for one in patterns if not any(re.search(one, line) for line in LINES)] == []
    assert [one for one in AFTER if not any(line.startswith(one) for line in LINES)] == []
    assert [one for one in BEFORE if not any(b.text.startswith(one) for b in BLOCKS)] == []
