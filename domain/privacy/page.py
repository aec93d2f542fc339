"""docs/privacy.md, made from the inventory: `python -m domain.privacy.page`."""

from collections.abc import Iterator

from domain.privacy.inventory import PLACES

_HEAD = """\
# What is kept about people

Made from `domain/privacy/inventory.py` by `make docs`; a test keeps it current. Exports of a
person, erasing and the table below follow the same inventory.

## What is never kept

Birth dates, sex, race, disabilities, meals, guardians, phone numbers, postal addresses and the
passwords of rosters: providers send them, and they do not leave the decoder. A student's mail
address is kept only where the tenant has asked for it. Logs, metrics and error reports have ids
and no names.

## What is kept, where, and why
"""
_TAIL = """
Beside these, about people who are in no roster: the name and mail address of super admins
(`accounts`) and of contacts (`contacts`), and the addresses of mails for as long as they are kept
(`mail_outbox`). Classes have the names that the provider gives them, and some name a teacher.

## How long

| what | how long |
| --- | --- |
| a person | as long as the roster has them, then archived for HOMEROW_PURGE_DAYS (365) |
| what syncs changed | HOMEROW_RETENTION_DAYS (90): as long as a run can be undone |
| sessions, sign-in attempts, mails | HOMEROW_PURGE_DAYS |
| files that were uploaded, finished errands | a day |
| the audit log, with ids only | until the tenant is deleted |

Every night the worker erases who has been archived for so long, with everything in the table
above; a tenant whose sync is under way has its turn the night after. `homerow person purge` does
it at once.

## When somebody asks

- **What do you have about Mia?** `homerow person export SLUG ID` writes all of it as JSON. It is
  in the audit log that it was asked for.
- **Erase what you have about Mia.** Take her out of the roster at the provider; once a sync has
  archived her, `homerow person erase SLUG ID` erases her at once. Who is still in the roster is
  refused: the next night would bring them back.
- **We leave.** `homerow tenant close SLUG` ends all sessions and syncs and keeps the data;
  `homerow tenant delete SLUG --confirm SLUG` deletes the tenant with all it has.

Each time a row in `removals` says when, on whose behalf, and how many rows of which table are
gone. It names nobody, and stays when the tenant is gone. Backups keep what they have until they
are overwritten: that is yours to set.
"""


def page() -> str:
    return "\n".join([_HEAD, *_table(), _TAIL])


def _table() -> Iterator[str]:
    yield "| table | what | when the person is erased |"
    yield "| --- | --- | --- |"
    for place in PLACES:
        fate = "stays, by an id that leads nowhere" if place.is_kept else "erased"
        yield f"| `{place.table}` | {place.purpose} | {fate} |"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what this program is for
