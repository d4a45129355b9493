"""The outcome of a gate as JUnit XML, which continuous integration shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from analysis.gate import Check
from utils.text import printable


def junit(checks: Sequence[Check]) -> str:
    """Return a test case for each rule and score."""
    failed = sum(check.failed for check in checks)
    suite = ET.Element(
        "testsuite", name="unlearning gate", tests=str(len(checks)), failures=str(failed)
    )
    for check in checks:
        name = printable(f"{check.key.method}: not {check.rule.text.strip()}")
        case = ET.SubElement(suite, "testcase", classname=printable(check.key.concept), name=name)
        if check.failed:
            ET.SubElement(case, "failure", message=printable(str(check)))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
