"""A finding of the doctor, and lists of findings as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

OK, NOTE, PROBLEM = "ok", "note", "problem"
_WIDTH = 110


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        area: such as "processor".
        status: `ok`; `note` where something is slower or limited; `problem` where no bundle, or not the given
            one, can run.
        text: what there is.
        next_step: what to do; empty for `ok`.
    """

    area: str
    status: str
    text: str
    next_step: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return {"area": self.area, "status": self.status, "text": self.text, "next": self.next_step}

    def __str__(self) -> str:
        return f"{self.area}: {self.text}" + (f"; {self.next_step}" if self.next_step else "")


def as_text(findings: Sequence[Finding]) -> str:
    """Return findings as lines: area, status, text, and the next step below."""
    lines: list[str] = []
    area = ""
    for finding in findings:
        shown = "" if finding.area == area else finding.area
        lines += _wrapped(f"{shown:<11}{finding.status:<9}", finding.text)
        if finding.next_step:
            lines += _wrapped(" " * 20, f"-> {finding.next_step}")
        area = finding.area
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> Sequence[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
