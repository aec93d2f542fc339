"""docs/permissions.md, made from the permission matrix: `python -m api.matrix_page`."""

from collections.abc import Iterator, Mapping
from typing import Final

from api.matrix import EVERYBODY, MATRIX, Rule
from domain.people.callers import SCOPES, Caller, CallerRole

_HEAD: Final = """\
# Who may do what

Made from `api/matrix.py` by `make docs`. The checks ask the same table, and tests see to it that
every field of the roots, of a tenant, of a run and of the viewer is in it, that nothing leads
round it, and that each role is refused exactly what it says. What is not in it may be read by
whoever has got to it.

- **Operators** and **support** are on the product's own side, for all tenants; **machines** are a
  tenant's API tokens. Each of them has a token, which needs one of the scopes that are named. A
  token of support reads and starts syncs at most, whatever scopes it was given.
- The others are people. Who is several things may what any of them may. What people see behind a
  field is another thing, and the database's: super admins and district admins see all of their
  tenant, school admins and staff their schools, teachers their groups, students themselves. What
  is outside of that is not there for them: lists leave it out, numbers do not count it, and its
  id is answered as one that never was.
- People change nothing outside of what they see, and not everything in it: training settings and
  default places are set in the schools that a school admin administers, in the groups that a
  teacher teaches, and by everybody for themselves. Who sees more than that is told so.
- Of a sync, school admins see when it was, what it changed and rejected in their schools, counted
  there, and the validation errors of their schools, and may export those.
- The status and the kind of a subscription, the number of its licences and a folder of the server
  are set by operators only, whoever may use the field.
- Another tenant is not there for anybody but operators and support.
"""
_COLUMNS: Final[Mapping[CallerRole, str]] = {
    CallerRole.OPERATOR: "operator",
    CallerRole.SUPPORT: "support",
    CallerRole.MACHINE: "machine",
    CallerRole.SUPER_ADMIN: "super admin",
    CallerRole.DISTRICT_ADMIN: "district admin",
    CallerRole.SCHOOL_ADMIN: "school admin",
    CallerRole.TEACHER: "teacher",
    CallerRole.STAFF: "staff",
    CallerRole.STUDENT: "student",
}
_TITLES: Final = ("Query", "Mutation", "Subscription", "Viewer", "Tenant", "SyncRun")
_ELSEWHERE: Final = "Elsewhere in the schema"
_DOORS: Final = "HTTP beside GraphQL"


def page() -> str:
    parts: dict[str, dict[str, Rule]] = {title: {} for title in (*_TITLES, _ELSEWHERE, _DOORS)}
    for key, rule in MATRIX.items():
        owner, _, name = key.partition(".")
        if " " in key:
            parts[_DOORS][key] = rule
        elif owner in _TITLES:
            parts[owner][name] = rule
        else:
            parts[_ELSEWHERE][key] = rule
    return "\n".join([_HEAD, *(line for title in parts for line in _part(title, parts[title]))])


def _part(title: str, rules: Mapping[str, Rule]) -> Iterator[str]:
    yield f"## {title}\n"
    everybodys = [name for name, rule in rules.items() if rule == EVERYBODY]
    if everybodys:
        yield f"For whoever is signed in: {', '.join(f'`{name}`' for name in everybodys)}.\n"
    guarded = {name: rule for name, rule in rules.items() if rule != EVERYBODY}
    if guarded:
        yield f"| | {' | '.join(_COLUMNS.values())} | scope of a token |"
        yield "| --- " * (len(_COLUMNS) + 2) + "|"
        yield from (_line(name, guarded[name]) for name in sorted(guarded))
        yield ""


def _line(name: str, rule: Rule) -> str:
    marks = " | ".join("✓" if _may(role, rule) else "–" for role in _COLUMNS)  # noqa: RUF001 - a dash is what is meant
    scopes = " or ".join(f"`{scope.value}`" for scope in rule.scopes)
    return f"| `{name}` | {marks} | {scopes or 'any'} |"


def _may(role: CallerRole, rule: Rule) -> bool:
    """With all that somebody in the role can have."""
    caller = Caller(actor="", name="", roles=frozenset({role}), scopes=SCOPES[role])
    return rule.refusal(caller) is None


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what this program is for
