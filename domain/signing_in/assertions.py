"""What a provider vouches for when somebody has signed in there."""

from dataclasses import dataclass, field

from domain.people.models import SignInMethodName


@dataclass(frozen=True, slots=True)
class Assertion:
    """Who somebody is at a provider.

    `key` is where: Clever's district, ClassLink's TenantId, Google's hosted domain, Microsoft's
    tenant; empty where the provider says none. `subject` is who: Clever's user id, ClassLink's
    SourcedId (which may be empty), Google's sub, Microsoft's "tid/oid". `address` is what they
    signed in with at Google or Microsoft; it is compared with usernames, and kept nowhere.
    """

    method: SignInMethodName
    key: str
    subject: str = field(repr=False)
    address: str | None = field(default=None, repr=False)
