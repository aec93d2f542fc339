"""What mails say: a text and an HTML template, and a subject. See notices.py for the nights'."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_templates: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
)


class Mail(NamedTuple):
    kind: str
    recipient: str
    subject: str
    text: str
    html: str


def invitation_mail(*, to: str, tenant: str, url: str) -> Mail:
    return _mail("INVITATION", to, f"Your invitation to {tenant}", tenant=tenant, url=url)


def reset_mail(*, to: str, tenant: str, url: str) -> Mail:
    return _mail("RESET", to, f"A new password for {tenant}", tenant=tenant, url=url)


def password_changed_mail(*, to: str, tenant: str) -> Mail:
    return _mail("PASSWORD_CHANGED", to, f"Your password at {tenant} was set", tenant=tenant)


def _mail(kind: str, to: str, subject: str, **values: Any) -> Mail:
    text, html = render(kind.lower(), values)
    return Mail(kind, to, " ".join(subject.split()), text, html)


def render(name: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """Text and HTML."""
    return (
        _templates.get_template(f"{name}.txt").render(values),
        _templates.get_template(f"{name}.html").render(values),
    )
