"""docs/validation.md, made from the table of codes: `python -m domain.validation.page`."""

from domain.validation.codes import RULES

_HEAD = """\
# Validation codes

Made from `domain/validation/codes.py` by `make docs`; a test keeps it current.

FATAL stops the run and HOLD makes it wait; either way nothing is changed. ERROR leaves one record
out: what was stored of it before stays, and it is not archived. WARNING leaves a value out, INFO
is a note. The owner is who can mend it: the DISTRICT in its student information system, the
PROVIDER, an ADMINISTRATOR of the tenant here, or HOMEROW.

| code | severity | owner | what is wrong | what Homerow did | what to do |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    rows = (
        f"| {code.value} | {rule.severity.value} | {rule.owner.value} | {rule.title}"
        f" | {rule.effect} | {rule.remedy} |\n"
        for code, rule in RULES.items()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is what it is run for
