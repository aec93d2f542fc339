"""Reads a page as somebody who cannot see it does: its outline, its fields, their names."""

import re
from html.parser import HTMLParser
from typing import Any, Final

from typing_extensions import override

FIELDS: Final = {"input", "select", "textarea"}
OWN_PATH: Final = re.compile(r"/(?!/)")


class Outline(HTMLParser):
    """`faults` are what keeps somebody from using the page, and what it may not bring along."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    @override
    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    @override
    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def all(self, *names: str) -> list[dict[str, Any]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def links(self) -> dict[str, str]:
        """The addresses by what is written there."""
        return dict(
            zip(self.texts.get("a", []), (one["href"] for one in self.all("a")), strict=True)
        )

    def field(self, name: str) -> dict[str, Any]:
        """The only one of this name."""
        [found] = [one for one in self.all(*FIELDS) if one.get("name") == name]
        return found

    def faults(self) -> list[str]:
        return [*self._faults_of_page(), *self._faults_of_fields(), *self._foreign()]

    def _faults_of_page(self) -> list[str]:
        html, titles, headings = self.all("html"), self.texts["title"], self.texts.get("h1", [])
        robots = [one["content"] for one in self.all("meta") if one.get("name") == "robots"]
        found = {
            "no language": [one.get("lang") for one in html] != ["en"],
            "no title": len(titles) != 1 or not titles[0].strip(),
            "not one h1": len(headings) != 1 or not headings[0].strip(),
            "no main part": len(self.all("main")) != 1,
            "search engines list it": robots != ["noindex"],
            "it does not fit": all(one.get("name") != "viewport" for one in self.all("meta")),
            "an id twice": len(self._ids()) != len(set(self._ids())),
        }
        return [fault for fault, is_there in found.items() if is_there]

    def _ids(self) -> list[str]:
        return [str(one["id"]) for _, one in self.tags if "id" in one]

    def _faults_of_fields(self) -> list[str]:
        labelled = {one["for"] for one in self.all("label") if "for" in one}
        faults = []
        for field in self.all(*FIELDS):
            if field.get("type") in {"hidden", "radio"}:
                continue
            if field.get("id") not in labelled:
                faults.append(f"no label: {field}")
            if field.get("type") in {"text", "password"} and not field.get("autocomplete"):
                faults.append(f"no autocomplete: {field}")
        described = {one["aria-describedby"] for _, one in self.tags if "aria-describedby" in one}
        return faults + [f"described by nothing: {name}" for name in described - set(self._ids())]

    def _foreign(self) -> list[str]:
        scripts = self.all("script", "style", "iframe", "object", "embed")
        inline = [
            name for _, one in self.tags for name in one if name == "style" or name.startswith("on")
        ]
        asked = [one.get("href") or one.get("src") for one in self.all("link", "img")]
        foreign = [url for url in asked if not str(url).startswith("/assets/")]
        actions = [str(one.get("action", "/")) for one in self.all("form")]
        return [
            *(f"a script or style: {one}" for one in scripts),
            *(f"inline: {name}" for name in inline),
            *(f"from elsewhere: {url}" for url in foreign),
            *(f"a form elsewhere: {url}" for url in actions if not OWN_PATH.match(url)),
        ]
