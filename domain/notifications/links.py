"""Links in mails: to where a tenant's administrators look after it."""

from dataclasses import dataclass
from typing import Self

from domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Links:
    """`pattern` is an address with {tenant} in it, and {run} where the frontend shows runs."""

    pattern: str = "http://127.0.0.1:8000/t/{tenant}"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Without a frontend's address, the page where a tenant's people sign in."""
        if settings.admin_url is not None:
            return cls(settings.admin_url)
        base = settings.public_url or f"http://{settings.host}:{settings.port}"
        return cls(base.rstrip("/") + "/t/{tenant}")

    def of_tenant(self, slug: str, run_id: str = "") -> str:
        return self.pattern.replace("{tenant}", slug).replace("{run}", run_id)
