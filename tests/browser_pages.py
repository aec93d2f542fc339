"""Pages as a person sees them: links, forms and what can be typed there; and what CSP lets out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, NamedTuple
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit

import httpx2
from typing_extensions import override

from tests.browser_cookies import origin_of

FORM: Final = "application/x-www-form-urlencoded"
_CHOICES: Final = frozenset({"radio", "checkbox", "option"})
_BUTTONS: Final = frozenset({"submit", "button", "reset", "image"})
_DEFAULT_POLICY: Final = "strict-origin-when-cross-origin"
_SILENT: Final = frozenset({"script", "style"})


class Control(NamedTuple):
    """`text` is what is written on it; `is_on`: it is chosen beforehand."""

    name: str
    kind: str
    value: str
    is_on: bool = False
    text: str = ""


class Link(NamedTuple):
    text: str
    href: str


@dataclass(slots=True)
class Form:
    """`action` is the whole address."""

    action: str
    method: str
    kind: str
    controls: list[Control] = field(default_factory=list)

    def entries(self, typed: Mapping[str, str], button: str | None) -> list[tuple[str, str]]:
        """What is sent. Raises LookupError for what nobody can type or choose there."""
        for name, value in typed.items():
            self._check(name, value)
        return [
            (control.name, self._value(control, typed))
            for control in self.controls
            if control.name and self._is_sent(control, typed, button)
        ]

    def _check(self, name: str, value: str) -> None:
        found = [one for one in self.controls if one.name == name]
        if not found or found[0].kind in _BUTTONS | {"hidden"}:
            raise LookupError(f"Nobody can type into a field {name!r} of {self.action}.")
        if found[0].kind in _CHOICES and value not in {one.value for one in found}:
            raise LookupError(f"There is no choice {value!r} for {name!r}.")

    def _value(self, control: Control, typed: Mapping[str, str]) -> str:
        is_typed = control.kind not in _CHOICES | _BUTTONS
        return typed.get(control.name, control.value) if is_typed else control.value

    def _is_sent(self, control: Control, typed: Mapping[str, str], button: str | None) -> bool:
        if control.kind in _BUTTONS:
            return button is not None and control.text == button
        if control.kind in _CHOICES:
            chosen = typed.get(control.name)
            return control.is_on if chosen is None else control.value == chosen
        return True

    def has_button(self, text: str) -> bool:
        return any(one.kind == "submit" and one.text == text for one in self.controls)

    def body(self, entries: Sequence[tuple[str, str]]) -> bytes:
        if self.kind == "text/plain":
            return "".join(f"{name}={value}\r\n" for name, value in entries).encode()
        return urlencode(entries).encode()


@dataclass(slots=True)
class Page:
    """What the browser shows. `location` is a redirect that it was told not to follow."""

    url: str
    status: int
    headers: httpx2.Headers
    text: str
    location: str | None = None
    title: str = ""
    words: str = ""
    links: list[Link] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def link(self, what: str) -> Link | None:
        """By what is written there, or by its href."""
        return next((link for link in self.links if what in link), None)

    def form(self, names: Mapping[str, str], action: str | None, button: str | None = None) -> Form:
        """The only one with these fields, or the one with that address or button."""
        found = [
            form
            for form in self.forms
            if (action is None or urlsplit(form.action).path == action or form.action == action)
            and set(names) <= {control.name for control in form.controls}
            and (button is None or form.has_button(button))
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} forms of {self.url} have {sorted(names)}.")
        return found[0]

    def lets_form_to(self, url: str) -> bool:
        policies = self.headers.get_list("content-security-policy", split_commas=True)
        return all(_lets_form(policy, self.url, url) for policy in policies)

    @property
    def referrer_policy(self) -> str:
        return policy_of(self.headers) or _DEFAULT_POLICY


def policy_of(headers: httpx2.Headers) -> str | None:
    """The Referrer-Policy; the last where there are several."""
    said = headers.get_list("referrer-policy", split_commas=True)
    return said[-1] if said else None


def page_of(url: str, response: httpx2.Response) -> Page:
    page = Page(url, response.status_code, response.headers, response.text)
    if response.headers.get("content-type", "").startswith("text/html"):
        _Reader(page).feed(page.text)
    return page


class _Reader(HTMLParser):
    """Fills the page in."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._form: Form | None = None
        self._select = ""
        self._texts: list[tuple[str, dict[str, str], list[str]]] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._page.url, said.get("action", "") or self._page.url)
            method = said.get("method", "get").upper()
            self._form = Form(urldefrag(action).url, method, said.get("enctype", FORM))
            self._page.forms.append(self._form)
        elif tag == "select":
            self._select = said.get("name", "")
        elif tag == "input":
            self._add_input(said)
        if tag in {"a", "button", "option", "textarea", "title", *_SILENT}:
            self._texts.append((tag, said, []))

    def _add_input(self, said: Mapping[str, str]) -> None:
        kind = said.get("type", "text").lower()
        value = said.get("value", "on" if kind in _CHOICES else "")
        text = value if kind in _BUTTONS else ""
        if self._form and "disabled" not in said:
            control = Control(said.get("name", ""), kind, value, "checked" in said, text)
            self._form.controls.append(control)

    @override
    def handle_data(self, data: str) -> None:
        for _, _, texts in self._texts:
            texts.append(data)
        if not any(tag in _SILENT for tag, _, _ in self._texts):
            self._page.words += data

    @override
    def handle_endtag(self, tag: str) -> None:
        if self._texts and self._texts[-1][0] == tag:
            _, said, texts = self._texts.pop()
            self._add_text(tag, said, " ".join("".join(texts).split()))
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._choose_first()

    def _add_text(self, tag: str, said: Mapping[str, str], text: str) -> None:
        name = said.get("name", "")
        if tag == "a" and "href" in said:
            self._page.links.append(Link(text, said["href"]))
        elif tag == "title":
            self._page.title = text
        elif self._form is None or "disabled" in said:
            return
        elif tag == "button":
            kind = said.get("type", "submit")
            self._form.controls.append(Control(name, kind, said.get("value", ""), text=text))
        elif tag == "textarea":
            self._form.controls.append(Control(name, "textarea", text))
        elif tag == "option":
            value = said.get("value", text)
            option = Control(self._select, "option", value, "selected" in said, text)
            self._form.controls.append(option)

    def _choose_first(self) -> None:
        """Of a drop-down, something is always chosen."""
        if self._form is None:
            return
        places = [
            place
            for place, one in enumerate(self._form.controls)
            if (one.name, one.kind) == (self._select, "option")
        ]
        if places and not any(self._form.controls[place].is_on for place in places):
            first = self._form.controls[places[0]]
            self._form.controls[places[0]] = first._replace(is_on=True)


def _lets_form(policy: str, page_url: str, url: str) -> bool:
    directives: dict[str, list[str]] = {}
    for name, *said in (one.split() for one in policy.split(";") if one.strip()):
        directives.setdefault(name.lower(), said)
    sources = directives.get("form-action")
    return sources is None or any(_matches(source, page_url, url) for source in sources)


def _matches(source: str, page_url: str, url: str) -> bool:
    """Raises ValueError for a source that this browser does not understand."""
    parts = urlsplit(url)
    if source.startswith("'"):
        known = {"'none'": False, "'self'": origin_of(page_url) == origin_of(url)}
        if source not in known:
            raise ValueError(f"CSP: what does {source} mean?")
        return known[source]
    if source == "*":
        return parts.scheme in {"http", "https"}
    if source.endswith(":"):
        return parts.scheme == source[:-1]
    if urlsplit(source).path or "*" in source or "://" not in source:
        raise ValueError(f"CSP: what does {source} mean?")
    return origin_of(source) == origin_of(url)
