"""What the settings say about the web: where we are reached, and which other sites we know."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from domain.settings import Environment, Settings

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`public_url` and `landing_url` are whole URLs, `cors_origins` are origins.

    Without a public URL, which a developer's machine may be, every Host is answered.
    """

    public_url: str | None = None
    cors_origins: frozenset[str] = frozenset()
    landing_url: str | None = None
    is_local: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            public_url=settings.public_url,
            cors_origins=frozenset(filter(None, map(origin_of, listed(settings.cors_origins)))),
            landing_url=settings.landing_url,
            is_local=settings.environment is Environment.LOCAL,
        )

    @property
    def public_origin(self) -> str | None:
        return self.public_url and origin_of(self.public_url)


def listed(text: str) -> list[str]:
    """The parts of a setting with commas between them."""
    return [part for part in (part.strip() for part in text.split(",")) if part]


def origin_of(url: str) -> str | None:
    """As browsers write it: without a path, and without the port where it is the usual one.

    None for what has no origin, such as "*".
    """
    try:
        parts = urlsplit(url)
        host = host_of(parts)
    except ValueError:
        return None
    return f"{parts.scheme}://{host}" if parts.scheme in DEFAULT_PORTS and host else None


def host_of(parts: SplitResult) -> str:
    """As browsers write it into Host. Raises ValueError where the port is no number."""
    name = parts.hostname or ""
    if ":" in name:
        name = f"[{name}]"
    is_usual = parts.port in {None, DEFAULT_PORTS.get(parts.scheme)}
    return name if is_usual else f"{name}:{parts.port}"
