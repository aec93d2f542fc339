"""Why somebody does not get in, in words for them and for who can mend it."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple


class RefusalReason(StrEnum):
    UNKNOWN_TENANT = "UNKNOWN_TENANT"
    SEVERAL_TENANTS = "SEVERAL_TENANTS"
    WRONG_TENANT = "WRONG_TENANT"
    TENANT_CLOSED = "TENANT_CLOSED"
    METHOD_OFF = "METHOD_OFF"
    NO_KEY = "NO_KEY"
    NOT_AUTHORIZED_BY_DISTRICT = "NOT_AUTHORIZED_BY_DISTRICT"
    NOT_IN_ROSTER = "NOT_IN_ROSTER"
    SEVERAL_PEOPLE = "SEVERAL_PEOPLE"
    OTHER_SUBJECT = "OTHER_SUBJECT"
    ARCHIVED = "ARCHIVED"
    DISABLED = "DISABLED"
    NO_ROLE = "NO_ROLE"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    NOT_LIVE_YET = "NOT_LIVE_YET"
    MUST_USE_CLEVER = "MUST_USE_CLEVER"
    WRONG_PASSWORD = "WRONG_PASSWORD"  # noqa: S105 - a reason
    LOCKED_OUT = "LOCKED_OUT"
    SECOND_FACTOR_NEEDED = "SECOND_FACTOR_NEEDED"
    WRONG_CODE = "WRONG_CODE"
    UNAVAILABLE = "UNAVAILABLE"


class _Words(NamedTuple):
    person: str
    administrator: str


_WORDS: Final[Mapping[RefusalReason, _Words]] = {
    RefusalReason.UNKNOWN_TENANT: _Words(
        "Your district or school is not known here. If it uses this product, ask its"
        " administrator to switch on this way of signing in.",
        "The provider named a district that no tenant has among its keys for this method: set"
        " them with signInMethodsSet, or connect the integration.",
    ),
    RefusalReason.SEVERAL_TENANTS: _Words(
        "You are known in more than one place here. Sign in from your own district's or school's"
        " page, which your school can tell you.",
        "Several tenants share this key at the provider, and the person is in more than one:"
        " they sign in from the tenant's own page.",
    ),
    RefusalReason.WRONG_TENANT: _Words(
        "You are signed in with an account that is not of this district or school. Sign out"
        " there, or choose your own district or school here.",
        "The account is of a district or domain that this tenant has not among its keys.",
    ),
    RefusalReason.TENANT_CLOSED: _Words(
        "Your district or school does not use this product any more. Ask its administrator.",
        "The tenant is closed.",
    ),
    RefusalReason.METHOD_OFF: _Words(
        "Your district or school does not use this way of signing in. Choose one of those on its"
        " page.",
        "The method is off: an administrator can switch it on with signInMethodsSet.",
    ),
    RefusalReason.NO_KEY: _Words(
        "The account has nothing by which your school knows you. Ask your school's administrator"
        " for the account to use.",
        "The provider sent no SourcedId (the district has no OneRoster there), or the account is"
        " a private one and of no school's domain.",
    ),
    RefusalReason.NOT_AUTHORIZED_BY_DISTRICT: _Words(
        "Your account comes from Clever Library, not from your district. Ask your district to"
        " connect this product.",
        "Clever says that a teacher, not the district, has authorised the app.",
    ),
    RefusalReason.NOT_IN_ROSTER: _Words(
        "You are not on your school's list for this product yet. Ask your school's"
        " administrator: new people are on it the day after they are shared.",
        "Nobody in the roster fits the account: is the person shared with this product, and was"
        " there a sync since? Google and Microsoft people are found by their username alone.",
    ),
    RefusalReason.SEVERAL_PEOPLE: _Words(
        "More than one person is on the list under this name. Ask your school's administrator.",
        "Several people fit the account: give them usernames that differ.",
    ),
    RefusalReason.OTHER_SUBJECT: _Words(
        "Somebody else has signed in under this name before. Ask your school's administrator.",
        "The person is bound to another account at this provider. If the account was replaced,"
        " forget the former one with identityForget.",
    ),
    RefusalReason.ARCHIVED: _Words(
        "You are not on your school's list any more. Ask your school's administrator.",
        "The person is archived: the provider does not share them any more.",
    ),
    RefusalReason.DISABLED: _Words(
        "Your account has been switched off by your school. Ask its administrator.",
        "The roster says that the account is not enabled.",
    ),
    RefusalReason.NO_ROLE: _Words(
        "Your school has not said what you do there. Ask its administrator.",
        "The person has no role that may sign in: see the role map.",
    ),
    RefusalReason.NOT_ELIGIBLE: _Words(
        "You do not take part in this product. Ask your teacher or your school's administrator.",
        "The student is not eligible: by the provider's data, or by eligibilitySet.",
    ),
    RefusalReason.NOT_LIVE_YET: _Words(
        "Your district or school has not opened this product yet.",
        "Before the day of going live only administrators get in.",
    ),
    RefusalReason.MUST_USE_CLEVER: _Words(
        "Administrators of your district sign in with Clever. Choose Clever on your district's"
        " page.",
        "District and school admins rostered from Clever must use Clever.",
    ),
    RefusalReason.WRONG_PASSWORD: _Words(
        "The name or the password is wrong. You can ask for a new password.",
        "The password was wrong.",
    ),
    RefusalReason.LOCKED_OUT: _Words(
        "There were too many tries. Wait a quarter of an hour, or ask for a new password.",
        "There were too many tries with wrong passwords; it opens again after a quarter of an"
        " hour.",
    ),
    RefusalReason.SECOND_FACTOR_NEEDED: _Words(
        "Type the code that your authenticator shows.",
        "The password was right; the code of the second factor was still to come.",
    ),
    RefusalReason.WRONG_CODE: _Words(
        "The code is wrong, or was used already. Wait for the next one and try again.",
        "The code of the second factor was wrong.",
    ),
    RefusalReason.UNAVAILABLE: _Words(
        "Signing in with a password is not possible for the moment. Try again in a minute.",
        "The server that counts tries did not answer, so nobody was let in by password.",
    ),
}


def explain(reason: RefusalReason, *, live_on: date | None = None) -> str:
    """For the person who wanted to sign in: what happened, who can mend it, and how."""
    if reason is RefusalReason.NOT_LIVE_YET and live_on:
        return (
            f"Your district or school opens this product on {live_on:%B} {live_on.day},"
            f" {live_on.year}. Come back then."
        )
    return _WORDS[reason].person


def explain_to_administrator(reason: RefusalReason) -> str:
    return _WORDS[reason].administrator
