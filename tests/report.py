# SPDX-License-Identifier: GPL-2.0
"""Results in the forms that other programs read: JUnit and TAP."""

import collections
import re
import xml.etree.ElementTree as xml

# verdict: PASS, FAIL or SKIP; detail: why.
Outcome = collections.namedtuple("Outcome", "verdict name detail")
# What one test program or script said, how long it took, and its output if something failed.
Report = collections.namedtuple("Report", "test outcomes seconds log")


def summary(reports):
    counts = collections.Counter(one.verdict for report in reports for one in report.outcomes)
    return f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped"


def printable(text):
    """XML has no way to say most control characters."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)


def write_junit(path, name, reports):
    root = xml.Element("testsuites")
    for report in reports:
        verdicts = [one.verdict for one in report.outcomes]
        suite = xml.SubElement(root, "testsuite", {
            "name": f"{name}.{report.test}", "tests": str(len(verdicts)),
            "failures": str(verdicts.count("FAIL")), "skipped": str(verdicts.count("SKIP")),
            "time": f"{report.seconds:.2f}"})
        for one in report.outcomes:
            case = xml.SubElement(suite, "testcase", {
                "classname": f"{name}.{report.test}", "name": printable(one.name)})
            if one.verdict == "FAIL":
                xml.SubElement(case, "failure", {"message": printable(one.detail)})
            elif one.verdict == "SKIP":
                xml.SubElement(case, "skipped", {"message": printable(one.detail)})
        if report.log:
            xml.SubElement(suite, "system-out").text = printable(report.log)
    xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_tap(path, reports):
    outcomes = [one for report in reports for one in report.outcomes]
    with open(path, "w", encoding="utf-8") as file:
        print(f"TAP version 13\n1..{len(outcomes)}", file=file)
        for number, one in enumerate(outcomes, 1):
            name = one.name.replace("#", "\\#")
            if one.verdict == "FAIL":
                print(f"not ok {number} - {name}", file=file)
            elif one.verdict == "SKIP":
                print(f"ok {number} - {name} # SKIP {one.detail}", file=file)
            else:
                print(f"ok {number} - {name}", file=file)
            if one.verdict == "FAIL" and one.detail:
                print(f"# {one.detail}", file=file)
