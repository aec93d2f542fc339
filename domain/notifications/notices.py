"""A notice: a mail made of paragraphs, tables and lists, the same ones as text and as HTML."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.notifications.mails import Mail, render


class Table(NamedTuple):
    """The first column holds words, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def lines(self) -> list[str]:
        """As plain text, in columns."""
        every = [self.head, *self.rows]
        widths = [max(len(row[place]) for row in every) for place in range(len(self.head))]
        return [
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in every
        ]


class Entry(NamedTuple):
    title: str
    texts: Sequence[str] = ()


class Section(NamedTuple):
    title: str
    texts: Sequence[str] = ()
    table: Table | None = None
    entries: Sequence[Entry] = ()


class Link(NamedTuple):
    label: str
    url: str


class Notice(NamedTuple):
    kind: str
    subject: str
    texts: Sequence[str]
    sections: Sequence[Section] = ()
    link: Link | None = None
    closing: Sequence[str] = ()

    def to(self, recipients: Sequence[str]) -> list[Mail]:
        """One mail each: nobody sees who else gets it."""
        text, html = render("notice", self._asdict())
        subject = " ".join(self.subject.split())
        return [Mail(self.kind, recipient, subject, text, html) for recipient in recipients]


def some(entries: Sequence[Entry], most: int, noun: str) -> list[Entry]:
    """The first of them, and how many more there are."""
    left = len(entries) - most
    return [*entries[:most], *([Entry(f"and {left:,} more {noun}")] if left > 0 else [])]
