"""Pages: plain HTML made here, without scripts and without anything from elsewhere."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import FileResponse, HTMLResponse, Response

FOLDER: Final = Path(__file__).parent / "templates"
_templates: Final = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
)


class Link(NamedTuple):
    label: str
    url: str


ELSEWHERE: Final = Link("Choose your district or school", "/")


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Of a template, which is named without its ending."""
    content = _templates.get_template(f"{template}.html").render(values)
    return HTMLResponse(content, status_code=status, headers={"Cache-Control": "no-store"})


def message(
    title: str, text: str, *links: Link, status: int = 200, is_alarm: bool = False
) -> HTMLResponse:
    """A page that says one thing, and where to go from there."""
    return page("message", status=status, title=title, text=text, links=links, is_alarm=is_alarm)


async def stylesheet(_: object) -> Response:
    return FileResponse(
        FOLDER / "homerow.css",
        media_type="text/css",
        headers={"Cache-Control": "public, max-age=3600"},
    )
