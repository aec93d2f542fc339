"""docs/validation.md, made from the table of codes: `python -m domain.validation.page`."""

from domain.validation.codes import RULES

_HEAD = """\
# Validation codes

Made from `domain/validation/codes.py` by `make docs`; a test keeps it current.

FATAL stops the run: nothing is changed. HOLD makes what it speaks of wait for an administrator.
ERROR leaves one record out: what was stored of it before stays, and it is not archived. WARNING
leaves a value out, INFO is a note. A tenant's requirement makes an ERROR of what is a WARNING
otherwise (`requirementsSet`). The owner is who can mend it: the DISTRICT in its student information
system, the PROVIDER, an ADMINISTRATOR of the tenant here, or HOMEROW.

Warnings and notes can be accepted: they stay quiet until their value changes. Where one problem
stands for several records, their number is not its value.

| code | severity | owner | what is wrong | what Homerow did | what to do |
| --- | --- | --- | --- | --- | --- |
"""
_ELSEWHERE: dict[str, str] = {
    "ADMIN_CSV_*": "a file of administrators is answered row by row to whoever sends it; it is no"
    " record of a provider",
    "ENR_CLASS_COURSE_UNRELATED": "an enrollment names a class and no course",
    "ENR_DUPLICATE": "two enrollments of one person in one class are two stays of one membership;"
    " with one id they are an ID_DUPLICATE",
    "ENR_USER_ARCHIVED": "who is archived is not in the feed: ENR_USER_MISSING",
    "OVERRIDE_KEPT": "who is eligible is the only field that is both the provider's and the"
    " tenant's; the person says which of them it comes from",
    "QUARANTINE": "a run that fails changes nothing and is shown; the next one tries again",
    "RUN_ABORTED": "a run that somebody has ended is CANCELLED, and says by whom",
    "RUN_ALREADY_ACTIVE": "the request joins the run, and is told so",
    "SESSION_TYPE_MISMATCH": "courses are kept without their school year",
    "USER_LINK_BROKEN": "nothing is erased, so nothing that is linked can be gone",
    "USER_MATCH_PROPOSED": "USER_ID_CHANGED",
    "USER_MULTI_PRIMARY_ROLE, USER_PRIMARY_ORG_NO_ROLE, USER_PROFILE_MISMATCH": "every role that"
    " holds on the day counts, whichever is called the primary one; profiles are not read",
    "USER_SELF_OR_LAST_ADMIN": "a tenant's own account is no part of the roster: no sync can take"
    " the last administrator away",
}
"""Codes of other systems that none here answers to, and why."""
_TAIL = """
## Codes that other systems have

Whoever knows one of these from elsewhere may look for it here in vain:

"""


def page() -> str:
    rows = (
        f"| {code.value} | {rule.severity.value} | {rule.owner.value} | {rule.title}"
        f" | {rule.effect} | {rule.remedy} |\n"
        for code, rule in RULES.items()
    )
    others = (f"- {names}: {reason}.\n" for names, reason in _ELSEWHERE.items())
    return "".join((_HEAD, *rows, _TAIL, *others))


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is what it is run for
