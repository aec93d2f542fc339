"""What a rule of the domain may say no with. The message is safe to show to the caller.

DomainError
├── NotFound        there is no such thing, or not for this caller
├── Conflict        well formed, but the present state forbids it
│   ├── ProviderManaged   the provider owns it, so it is changed there
│   └── SignInAgain       the person signed in too long ago for this
├── InvalidInput    one value is wrong, and which
├── Forbidden       this caller may not
└── SourceError     the provider's side; see domain.roster.source
"""


class DomainError(Exception):
    """A refusal that the caller can understand. Never carries a secret."""


class NotFound(DomainError):
    def __init__(self, what: str, key: object) -> None:
        super().__init__(f"There is no {what} {str(key)!r}.")
        self.what = what


class Conflict(DomainError):
    """The request is well formed, but the present state forbids it."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ProviderManaged(Conflict):
    """The provider owns it. `provider` is its code; the message says where to change it."""

    def __init__(self, message: str, *, field: str | None, provider: str) -> None:
        super().__init__(message, field=field)
        self.provider = provider


class SignInAgain(Conflict):
    """Whoever asks may do it, and has to prove again who they are."""


class InvalidInput(DomainError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Forbidden(DomainError):
    """The caller may not do that."""
