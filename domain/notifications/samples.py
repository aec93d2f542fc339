"""A mail of every kind with invented data, to look at."""

from collections.abc import Callable, Mapping
from typing import Final

from domain.notifications import alarms, runs
from domain.notifications.mails import Mail, invitation_mail, password_changed_mail, reset_mail
from domain.notifications.notices import Notice
from domain.notifications.runs import Cause, Counted, Failure, RunFacts
from domain.validation.codes import RULES, Code

_TENANT: Final = "Springfield USD"
_TO: Final = "data@springfield.example"
_URL: Final = "https://homerow.example/t/springfield"
_TOKEN_URL: Final = "https://homerow.example/account-links/invented"  # noqa: S105 - leads nowhere
_ENDED: Final = "Tuesday 3 March 2026 at 02:14 (America/Chicago)"
_NEXT: Final = "Wednesday 4 March 2026 at 02:00 (America/Chicago)"


def _cause(code: Code, errors: int, causes: int) -> Cause:
    rule = RULES[code]
    return Cause(code.value, rule.title, errors, causes, rule.effect, rule.remedy)


_RUN: Final = RunFacts(
    tenant=_TENANT,
    ended_at=_ENDED,
    url=_URL,
    counted=(
        Counted("Schools"),
        Counted("Classes", created=3, updated=12, rejected=1),
        Counted("People", created=41, updated=107, archived=8, restored=2, rejected=5),
        Counted("Memberships", created=212, archived=67, restored=4),
    ),
    causes=(
        _cause(Code.CLASS_SCHOOL_MISSING, 26, 1),
        _cause(Code.USER_NAME_MISSING, 5, 5),
    ),
    warnings=31,
    next_sync=_NEXT,
)
_QUIET: Final = RunFacts(tenant=_TENANT, ended_at=_ENDED, url=_URL, next_sync=_NEXT)
_HELD: Final = _RUN._replace(
    counted=(Counted("People", created=41, updated=107, held=380),),
    waiting=(
        f"{RULES[Code.HOLD_DELETES].title}: 380 people of 2,140. {RULES[Code.HOLD_DELETES].remedy}",
    ),
)


def _failed(code: Code) -> RunFacts:
    rule = RULES[code]
    return _QUIET._replace(failure=Failure(code.value, rule.title, rule.effect, rule.remedy))


_NOTICES: Final[Mapping[str, Callable[[], Notice]]] = {
    "summary": lambda: runs.summary(_RUN),
    "recovered": lambda: runs.recovered(_RUN),
    "hold": lambda: runs.hold(_HELD),
    "failure": lambda: runs.failure(_failed(Code.CONN_AUTH_REJECTED)),
    "off": lambda: runs.switched_off(_failed(Code.CONN_AUTH_REJECTED)._replace(next_sync=None)),
    "digest": lambda: runs.digest(
        _TENANT,
        "Tuesday 3 March 2026",
        (_failed(Code.CONN_TIMEOUT), _RUN, _QUIET._replace(causes=_RUN.causes)),
    ),
    "licences": lambda: alarms.licences(_TENANT, 1_943, 2_000, url=_URL),
    "late": lambda: alarms.late(_TENANT, _ENDED, 1, url=_URL),
    "pause": lambda: alarms.pause(
        _TENANT,
        first="Monday 21 December 2026",
        last="Friday 1 January 2027",
        reason="Winter break",
        url=_URL,
    ),
    "late-tenants": lambda: alarms.late_tenants(
        (
            alarms.LateTenant("shelbyville", _ENDED, 1),
            alarms.LateTenant("springfield", None, 3),
        )
    ),
    "outage": lambda: alarms.outage("CLEVER", failing=212, ran=230, since="2026-03-03 08:02 UTC"),
    "outage-over": lambda: alarms.outage_over(
        "CLEVER", began="2026-03-03 08:02 UTC", ended="2026-03-03 11:20 UTC"
    ),
    "new-shares": lambda: alarms.new_shares(
        "CLASSLINK",
        (
            alarms.SharedDistrict("REQUESTED", "Springfield USD", "90210"),
            alarms.SharedDistrict("WITHDRAWN", "Ogdenville ISD", "4711"),
        ),
    ),
    "undelivered": lambda: alarms.undelivered((("HOLD", 1), ("SUMMARY", 14))),
}
_MAILS: Final[Mapping[str, Callable[[], Mail]]] = {
    "invitation": lambda: invitation_mail(to=_TO, tenant=_TENANT, url=_TOKEN_URL),
    "reset": lambda: reset_mail(to=_TO, tenant=_TENANT, url=_TOKEN_URL),
    "password-changed": lambda: password_changed_mail(to=_TO, tenant=_TENANT),
}
KINDS: Final = (*_NOTICES, *_MAILS)


def sample(kind: str) -> Mail:
    """Raises KeyError for what is none of KINDS."""
    if kind in _MAILS:
        return _MAILS[kind]()
    return _NOTICES[kind]().to([_TO])[0]
