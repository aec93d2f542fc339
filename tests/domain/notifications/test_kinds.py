"""Every kind of mail: the text and the HTML say the same, and no words are markup."""

import html
import re

import pytest

from domain.notifications.links import Links
from domain.notifications.notices import Entry, Link, Notice, Section, Table
from domain.notifications.runs import Counted, RunFacts, summary
from domain.notifications.samples import KINDS, sample
from domain.settings import Settings


def seen(body: str) -> str:
    """What a reader of the HTML sees."""
    return html.unescape(re.sub("<[^>]+>", " ", re.sub(r'<a href="([^"]*)">', r" \1 ", body)))


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_html_say_the_same(kind: str) -> None:
    mail = sample(kind)
    assert mail.kind == kind.upper().replace("-", "_")
    assert "\n" not in mail.subject
    assert mail.html.startswith("<!doctype html>")
    assert "<img" not in mail.html
    figures = re.findall(r"\d[\d,:.-]*", mail.text)
    assert sorted(figures) == sorted(re.findall(r"\d[\d,:.-]*", seen(mail.html)))
    words = set(re.findall(r"[A-Za-z]{3,}", mail.text))
    assert words == set(re.findall(r"[A-Za-z]{3,}", seen(mail.html))) - {"Homerow"} | (
        words & {"Homerow"}
    )


def test_what_is_said_is_no_markup() -> None:
    evil = "<b>&amp;"
    notice = Notice(
        "X",
        evil,
        (evil,),
        (Section(evil, (evil,), Table((evil, evil), ((evil, evil),)), (Entry(evil, (evil,)),)),),
        Link(evil, f"https://x.example/{evil}"),
        (evil,),
    )
    [mail] = notice.to(["a@example.org"])
    assert "<b>" not in mail.html
    assert mail.html.count("&lt;b&gt;&amp;amp;") == mail.text.count(evil) == 12
    assert mail.subject == evil


def test_a_table_shows_what_is_not_zero_in_columns() -> None:
    facts = RunFacts(
        "T",
        "now",
        "https://x.example",
        counted=(Counted("Schools"), Counted("People", created=1_200, rejected=3)),
    )
    [mail] = summary(facts).to(["a@example.org"])
    assert "          new  left out\nPeople  1,200         3\n" in mail.text
    assert "Schools" not in mail.text
    assert "No sync starts by itself." in mail.text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), "http://127.0.0.1:8000/t/alpha"),
        (Settings(public_url="https://h.example/"), "https://h.example/t/alpha"),
        (
            Settings(public_url="https://h.example", admin_url="https://a.example/{tenant}/{run}"),
            "https://a.example/alpha/7",
        ),
        (Settings(admin_url="https://a.example"), "https://a.example"),
    ],
)
def test_links_lead_to_the_frontend_or_to_the_sign_in_page(
    settings: Settings, expected: str
) -> None:
    assert Links.of(settings).of_tenant("alpha", "7") == expected
