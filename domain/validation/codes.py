"""Every validation code with its severity, its owner, what it means and what to do about it.

Codes are stable: frontends, mails and support answers refer to them. The taxonomy is described
in docs/validation.md, which is made from this table.
"""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """What a problem does. Ordered from the worst."""

    FATAL = "FATAL"  # the run stops, nothing is applied
    HOLD = "HOLD"  # what it speaks of waits for an administrator
    ERROR = "ERROR"  # this record is not applied; its last good state stays
    WARNING = "WARNING"  # the value is dropped, the record goes on
    INFO = "INFO"  # a note


class Owner(StrEnum):
    """Who can mend it."""

    DISTRICT = "DISTRICT"  # in the student information system
    PROVIDER = "PROVIDER"
    ADMINISTRATOR = "ADMINISTRATOR"  # of this tenant, here
    HOMEROW = "HOMEROW"


class Code(StrEnum):
    # file
    FILE_MISSING = "FILE_MISSING"
    FILE_UNKNOWN = "FILE_UNKNOWN"
    FILE_DUPLICATE = "FILE_DUPLICATE"
    FILE_BAD_ZIP = "FILE_BAD_ZIP"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FILE_BOMB = "FILE_BOMB"
    FILE_NOT_UTF8 = "FILE_NOT_UTF8"
    FILE_MALFORMED_CSV = "FILE_MALFORMED_CSV"
    FILE_HEADER_MISSING = "FILE_HEADER_MISSING"
    FILE_HEADER_DUPLICATE = "FILE_HEADER_DUPLICATE"
    FILE_HEADER_UNKNOWN = "FILE_HEADER_UNKNOWN"
    FILE_ROW_WIDTH = "FILE_ROW_WIDTH"
    FILE_EMPTY = "FILE_EMPTY"
    FILE_CHANGED = "FILE_CHANGED"
    FILE_SET_CHANGED = "FILE_SET_CHANGED"
    MANIFEST_VERSION = "MANIFEST_VERSION"
    MANIFEST_MODE = "MANIFEST_MODE"
    MANIFEST_MISMATCH = "MANIFEST_MISMATCH"
    DELTA_FIELD_REQUIRED = "DELTA_FIELD_REQUIRED"
    BULK_FIELD_FORBIDDEN = "BULK_FIELD_FORBIDDEN"
    # connection
    CONN_UNREACHABLE = "CONN_UNREACHABLE"
    CONN_TIMEOUT = "CONN_TIMEOUT"
    CONN_THROTTLED = "CONN_THROTTLED"
    CONN_SERVER_ERROR = "CONN_SERVER_ERROR"
    CONN_AUTH_REJECTED = "CONN_AUTH_REJECTED"
    CONN_FORBIDDEN_SCOPE = "CONN_FORBIDDEN_SCOPE"
    CONN_DISCONNECTED = "CONN_DISCONNECTED"
    CONN_ADDRESS_REFUSED = "CONN_ADDRESS_REFUSED"
    CONN_REQUEST_REFUSED = "CONN_REQUEST_REFUSED"
    CONN_BAD_PAYLOAD = "CONN_BAD_PAYLOAD"
    CONN_TOO_LARGE = "CONN_TOO_LARGE"
    CONN_PAGINATION_BROKEN = "CONN_PAGINATION_BROKEN"
    CONN_INTERRUPTED = "CONN_INTERRUPTED"
    CONN_MOVED = "CONN_MOVED"
    CONN_EMPTY = "CONN_EMPTY"
    CONN_WRONG_DISTRICT = "CONN_WRONG_DISTRICT"
    CONN_DISTRICT_NOT_READY = "CONN_DISTRICT_NOT_READY"
    CONN_SCHOOL_NOT_FOUND = "CONN_SCHOOL_NOT_FOUND"
    # any record
    ID_MISSING = "ID_MISSING"
    ID_INVALID = "ID_INVALID"
    ID_DUPLICATE = "ID_DUPLICATE"
    RECORD_UNREADABLE = "RECORD_UNREADABLE"
    FIELD_REQUIRED = "FIELD_REQUIRED"
    FIELD_TYPE = "FIELD_TYPE"
    FIELD_ENUM = "FIELD_ENUM"
    FIELD_TOO_LONG = "FIELD_TOO_LONG"
    STATUS_INVALID = "STATUS_INVALID"
    DATES_REVERSED = "DATES_REVERSED"
    # school
    ORG_TYPE_WRONG = "ORG_TYPE_WRONG"
    ORG_PARENT_MISSING = "ORG_PARENT_MISSING"
    ORG_CYCLE = "ORG_CYCLE"
    SCHOOL_NOT_IN_SCOPE = "SCHOOL_NOT_IN_SCOPE"
    # term and course
    TERM_MISSING = "TERM_MISSING"
    COURSE_REF_MISSING = "COURSE_REF_MISSING"
    # class
    CLASS_NAME_MISSING = "CLASS_NAME_MISSING"
    CLASS_SCHOOL_MISSING = "CLASS_SCHOOL_MISSING"
    CLASS_NO_TEACHER = "CLASS_NO_TEACHER"
    CLASS_EMPTY = "CLASS_EMPTY"
    CLASS_NAME_DUPLICATE = "CLASS_NAME_DUPLICATE"
    CLASS_GRADE_UNMAPPED = "CLASS_GRADE_UNMAPPED"
    CLASS_TEACHER_OTHER_SCHOOL = "CLASS_TEACHER_OTHER_SCHOOL"
    # user
    USER_NAME_MISSING = "USER_NAME_MISSING"
    USER_LOGIN_MISSING = "USER_LOGIN_MISSING"
    USER_LOGIN_TAKEN = "USER_LOGIN_TAKEN"
    USER_LOGIN_CASE_CLASH = "USER_LOGIN_CASE_CLASH"
    USER_LOGIN_CASE_CHANGED = "USER_LOGIN_CASE_CHANGED"
    USER_SECOND_ID_TAKEN = "USER_SECOND_ID_TAKEN"
    USER_EMAIL_INVALID = "USER_EMAIL_INVALID"
    USER_EMAIL_DUPLICATE = "USER_EMAIL_DUPLICATE"
    USER_EMAIL_DOMAIN = "USER_EMAIL_DOMAIN"
    USER_ROLE_UNKNOWN = "USER_ROLE_UNKNOWN"
    USER_MULTI_ROLE = "USER_MULTI_ROLE"
    USER_NO_SCHOOL = "USER_NO_SCHOOL"
    USER_SCHOOL_MISSING = "USER_SCHOOL_MISSING"
    USER_GRADE_UNMAPPED = "USER_GRADE_UNMAPPED"
    USER_GRADE_MISSING = "USER_GRADE_MISSING"
    USER_DISABLED = "USER_DISABLED"
    USER_ID_CHANGED = "USER_ID_CHANGED"
    STUDENT_MULTI_SCHOOL = "STUDENT_MULTI_SCHOOL"
    STUDENT_MULTI_GROUP = "STUDENT_MULTI_GROUP"
    # enrollment
    ENR_USER_MISSING = "ENR_USER_MISSING"
    ENR_CLASS_MISSING = "ENR_CLASS_MISSING"
    ENR_ROLE_INVALID = "ENR_ROLE_INVALID"
    ENR_SCHOOL_MISMATCH = "ENR_SCHOOL_MISMATCH"
    ENR_OUTSIDE_DATES = "ENR_OUTSIDE_DATES"
    # run
    OVERRIDE_INVALID_NOW = "OVERRIDE_INVALID_NOW"
    PROGRESS_GROUP_MOVED = "PROGRESS_GROUP_MOVED"
    DEFAULTS_CLEARED = "DEFAULTS_CLEARED"
    HOLD_TYPE_EMPTY = "HOLD_TYPE_EMPTY"
    HOLD_SHARING_CHANGE = "HOLD_SHARING_CHANGE"
    HOLD_DELETES = "HOLD_DELETES"
    HOLD_UPDATES = "HOLD_UPDATES"
    HOLD_FIRST_SYNC = "HOLD_FIRST_SYNC"
    HOLD_DEPENDS = "HOLD_DEPENDS"
    SCHOOL_VANISHED = "SCHOOL_VANISHED"
    USER_ROLE_CHANGED = "USER_ROLE_CHANGED"
    ID_CHURN = "ID_CHURN"
    PROVIDER_SWITCH_UNMATCHED = "PROVIDER_SWITCH_UNMATCHED"
    LICENCE_LIMIT = "LICENCE_LIMIT"
    LICENCE_NEAR = "LICENCE_NEAR"
    USER_MATCH_AMBIGUOUS = "USER_MATCH_AMBIGUOUS"
    USER_SOURCE_DUPLICATE = "USER_SOURCE_DUPLICATE"
    RUN_INTERNAL = "RUN_INTERNAL"
    RUN_REVERT_REFUSED = "RUN_REVERT_REFUSED"


class Rule(NamedTuple):
    """`effect` says what Homerow did, `remedy` what to do and where."""

    severity: Severity
    owner: Owner
    title: str
    effect: str
    remedy: str


_STOPPED = "The run stopped and nothing was changed."
_SKIPPED = "The record was not applied; what was stored of it before stays as it was."
_REQUIRED = (
    "The record was not applied, since the tenant requires it; what was stored of it before stays"
    " as it was."
)
_DROPPED = "The value was left out; the rest of the record was applied."
_NOTED = "Nothing was changed for it; this is a note."
_UNLINKED = "The enrollment was left out; the rest of the roster was applied."
_UNREAD = "The run stopped before anything was compared; nothing was changed."
_LATER = "Nothing; the next run tries again. If it stays, ask the provider's support."
_WAITS = "They wait; everything else was applied."
_EXPORT = "Correct the export of the student information system and sync again."
_SIS = "Correct the record in the student information system and sync again."

F, H, E, W, I = Severity  # noqa: E741 - the letters of the taxonomy
D, P, A, U = Owner

RULES: dict[Code, Rule] = {
    Code.FILE_MISSING: Rule(
        F, D, "A required file is missing", _STOPPED,
        "Put the file into the package (and into its manifest) and sync again.",
    ),
    Code.FILE_UNKNOWN: Rule(
        W, D, "A file is not part of OneRoster", "The file was not read.",
        "Nothing, or remove it from the package.",
    ),
    Code.FILE_DUPLICATE: Rule(
        F, D, "A file is there twice", _STOPPED, "Leave one of them in the package.",
    ),
    Code.FILE_BAD_ZIP: Rule(
        F, D, "The package is not a readable zip file", _STOPPED,
        "Send the package again; it may have been cut off on its way.",
    ),
    Code.FILE_TOO_LARGE: Rule(
        F, D, "A file, a line or a field is larger than the limit", _STOPPED, _EXPORT,
    ),
    Code.FILE_BOMB: Rule(
        F, D, "The zip file unpacks to far more than it holds", _STOPPED,
        "Zip the CSV files themselves, without other archives, and sync again.",
    ),
    Code.FILE_NOT_UTF8: Rule(
        F, D, "A file is not UTF-8", _STOPPED, "Export the file as UTF-8 and sync again.",
    ),
    Code.FILE_MALFORMED_CSV: Rule(F, D, "A file is not valid CSV", _STOPPED, _EXPORT),
    Code.FILE_HEADER_MISSING: Rule(F, D, "A required column is missing", _STOPPED, _EXPORT),
    Code.FILE_HEADER_DUPLICATE: Rule(F, D, "A column is there twice", _STOPPED, _EXPORT),
    Code.FILE_HEADER_UNKNOWN: Rule(
        W, D, "A column is not part of OneRoster, or is misspelt", "The column was not read.",
        "Nothing if it is meant so; otherwise correct its name in the export.",
    ),
    Code.FILE_ROW_WIDTH: Rule(
        E, D, "A row has not as many cells as its header", _SKIPPED, _EXPORT,
    ),
    Code.FILE_EMPTY: Rule(
        W, D, "A file has a header and no rows", "It was read as an empty collection.",
        "Leave the file out, or export its rows.",
    ),
    Code.FILE_CHANGED: Rule(
        F, D, "A file changed while it was being read", _STOPPED,
        "Sync again when the export has ended.",
    ),
    Code.FILE_SET_CHANGED: Rule(
        W, D, "A file that came before is missing",
        "Nothing was said about its records, so all of them stay as they are.",
        "Put the file into the package again; to archive its records send it with a header alone.",
    ),
    Code.MANIFEST_VERSION: Rule(
        F, D, "The manifest names a version that is not 1.1 or 1.2", _STOPPED, _EXPORT,
    ),
    Code.MANIFEST_MODE: Rule(
        F, D, "The manifest names a mode that is not absent, bulk or delta", _STOPPED, _EXPORT,
    ),
    Code.MANIFEST_MISMATCH: Rule(
        F, D, "The manifest and the files do not agree", _STOPPED,
        "Make the manifest name exactly the files that the package holds.",
    ),
    Code.DELTA_FIELD_REQUIRED: Rule(
        E, D, "A row of a delta file has no status or no date", _SKIPPED, _EXPORT,
    ),
    Code.BULK_FIELD_FORBIDDEN: Rule(
        W, D, "A bulk file has statuses", "A row marked as deleted was read as deleted.",
        "Leave status and dateLastModified blank in bulk files.",
    ),
    Code.CONN_UNREACHABLE: Rule(
        F, P, "The provider's server cannot be reached", _UNREAD,
        "Check the address of the integration; if it is right, the next run tries again.",
    ),
    Code.CONN_TIMEOUT: Rule(F, P, "The provider did not answer in time", _UNREAD, _LATER),
    Code.CONN_THROTTLED: Rule(F, P, "The provider asks for a longer pause", _UNREAD, _LATER),
    Code.CONN_SERVER_ERROR: Rule(F, P, "The provider's server failed", _UNREAD, _LATER),
    Code.CONN_AUTH_REJECTED: Rule(
        F, A, "The provider refused the key, secret or token", _UNREAD,
        "Enter current credentials in the integration, then test it.",
    ),
    Code.CONN_FORBIDDEN_SCOPE: Rule(
        F, A, "The provider refused a collection", _UNREAD,
        "Have the district share the collection with this application, then test the integration.",
    ),
    Code.CONN_DISCONNECTED: Rule(
        F, A, "The district does not share with this application any more", _UNREAD,
        "Ask the district to switch sharing on again, or disconnect the integration.",
    ),
    Code.CONN_ADDRESS_REFUSED: Rule(
        F, A, "The address is not a public https address", _UNREAD,
        "Correct the address of the integration. Homerow's operators can allow private ones.",
    ),
    Code.CONN_REQUEST_REFUSED: Rule(
        F, P, "The provider did not accept the request", _UNREAD,
        "Check address and version of the integration; else ask the provider's support.",
    ),
    Code.CONN_BAD_PAYLOAD: Rule(
        F, P, "The provider's answer is not what its API promises", _UNREAD, _LATER,
    ),
    Code.CONN_TOO_LARGE: Rule(F, P, "The provider's answer is too large", _UNREAD, _LATER),
    Code.CONN_PAGINATION_BROKEN: Rule(
        F, P, "The provider's pages do not come to an end", _UNREAD, _LATER,
    ),
    Code.CONN_INTERRUPTED: Rule(
        F, P, "A collection could not be read to its end", _UNREAD, _LATER,
    ),
    Code.CONN_MOVED: Rule(
        F, P, "The roster changed while it was being read, several times", _UNREAD,
        "Nothing; the next run tries again. If it stays, choose another hour for the sync.",
    ),
    Code.CONN_EMPTY: Rule(
        W, D, "The provider has no record of a type",
        "It was read as an empty collection; what is stored of it waits for an administrator.",
        "Check at the provider what the district shares.",
    ),
    Code.CONN_WRONG_DISTRICT: Rule(
        F, A, "The credentials open another district", _UNREAD,
        "Enter the credentials of this district in the integration.",
    ),
    Code.CONN_DISTRICT_NOT_READY: Rule(
        F, D, "The provider has no data of the district yet", _UNREAD,
        "Wait until the district's first upload to the provider is through.",
    ),
    Code.CONN_SCHOOL_NOT_FOUND: Rule(
        H, A, "A sharing rule names a school that is not in the feed",
        "The run waits; nothing was changed.",
        "Have the district share the school, or take it out of the sharing rules.",
    ),
    Code.ID_MISSING: Rule(E, D, "A record has no id", "The record was left out.", _SIS),
    Code.ID_INVALID: Rule(E, D, "An id cannot be used", "The record was left out.", _SIS),
    Code.ID_DUPLICATE: Rule(
        E, D, "An id is there twice", "The first record was taken, the later one left out.", _SIS,
    ),
    Code.RECORD_UNREADABLE: Rule(
        E, P, "A record is not of the shape that the provider's API promises", _SKIPPED,
        "Tell the provider's support which record it is.",
    ),
    Code.FIELD_REQUIRED: Rule(E, D, "A required value is missing", _SKIPPED, _SIS),
    Code.FIELD_TYPE: Rule(W, D, "A value is not of its type", _DROPPED, _SIS),
    Code.FIELD_ENUM: Rule(W, D, "A value is not in the vocabulary", _DROPPED, _SIS),
    Code.FIELD_TOO_LONG: Rule(W, D, "A value is too long", _DROPPED, _SIS),
    Code.STATUS_INVALID: Rule(E, D, "A status is not active or tobedeleted", _SKIPPED, _SIS),
    Code.DATES_REVERSED: Rule(W, D, "An end lies before its beginning", _DROPPED, _SIS),
    Code.ORG_TYPE_WRONG: Rule(
        E, D, "A class belongs to an organisation that is no school", _SKIPPED, _SIS,
    ),
    Code.ORG_PARENT_MISSING: Rule(
        W, D, "The parent of a school is not in the feed", _DROPPED, _SIS,
    ),
    Code.ORG_CYCLE: Rule(
        W, D, "Schools are one another's parents", _DROPPED, _SIS,
    ),
    Code.SCHOOL_NOT_IN_SCOPE: Rule(
        I, A, "Schools are left out by the sharing rules",
        "The schools, their classes and their people were not taken over.",
        "Nothing if it is meant so; otherwise add the schools to the sharing rules.",
    ),
    Code.TERM_MISSING: Rule(
        W, D, "A class names a term that is not in the feed",
        "The class was applied without that term.", _SIS,
    ),
    Code.COURSE_REF_MISSING: Rule(
        W, D, "A class names a course that is not in the feed",
        "The class was applied without its course.", _SIS,
    ),
    Code.CLASS_NAME_MISSING: Rule(E, D, "A class has no name", _SKIPPED, _SIS),
    Code.CLASS_SCHOOL_MISSING: Rule(
        E, D, "A class belongs to a school that is not in the feed", _SKIPPED,
        "Share the school, or correct the class in the student information system.",
    ),
    Code.CLASS_NO_TEACHER: Rule(
        W, D, "A class has no teacher", "The class was applied.", _SIS,
    ),
    Code.CLASS_EMPTY: Rule(I, D, "A class has no students", "The class was applied.", _SIS),
    Code.CLASS_NAME_DUPLICATE: Rule(
        W, D, "Two classes of a school have the same name and term", "Both were applied.", _SIS,
    ),
    Code.CLASS_GRADE_UNMAPPED: Rule(
        W, D, "A grade of a class is not in the vocabulary", _DROPPED, _SIS,
    ),
    Code.CLASS_TEACHER_OTHER_SCHOOL: Rule(
        I, D, "A class is taught by somebody of another school",
        "The class was applied with its teachers.",
        "Nothing if it is meant so; otherwise add the school to the teacher's.",
    ),
    Code.USER_NAME_MISSING: Rule(
        E, D, "A person has neither given nor family name", _SKIPPED, _SIS,
    ),
    Code.USER_LOGIN_MISSING: Rule(E, D, "A person has no username", _SKIPPED, _SIS),
    Code.USER_LOGIN_TAKEN: Rule(
        E, D, "A username belongs to somebody else", _SKIPPED,
        "Give one of the two another username in the student information system.",
    ),
    Code.USER_LOGIN_CASE_CLASH: Rule(
        E, D, "Two usernames differ only by upper and lower case", _SKIPPED,
        "Give one of the two another username in the student information system.",
    ),
    Code.USER_LOGIN_CASE_CHANGED: Rule(
        W, A, "A username differs from the one of a matched account by upper and lower case",
        "The person was matched and has the provider's spelling from now on.",
        "Nothing if they are the same person; else undo the match.",
    ),
    Code.USER_SECOND_ID_TAKEN: Rule(
        W, D, "Several students have the same student number",
        "All were applied.",
        "Give each of them a number of their own in the student information system.",
    ),
    Code.USER_EMAIL_INVALID: Rule(W, D, "An email address is not valid", _DROPPED, _SIS),
    Code.USER_EMAIL_DUPLICATE: Rule(
        W, D, "Several people have the same email address", "All were applied.", _SIS,
    ),
    Code.USER_EMAIL_DOMAIN: Rule(
        W, A, "An email address is not of the tenant's domains", "The person was applied with it.",
        "Add the domain in the integration, or correct the address at the provider.",
    ),
    Code.USER_ROLE_UNKNOWN: Rule(
        W, A, "A role is not in the role map",
        "The person was left out; what was stored of them stays.",
        "Add the role to the role map, or correct it in the student information system.",
    ),
    Code.USER_MULTI_ROLE: Rule(I, A, "A person has several roles", "All were applied.", "Nothing."),
    Code.USER_NO_SCHOOL: Rule(
        E, D, "A person belongs to no school that is in the feed", _SKIPPED,
        "Share the school, or correct the person in the student information system.",
    ),
    Code.USER_SCHOOL_MISSING: Rule(
        W, D, "A person names a school that is not in the feed",
        "The person was applied without that school.", _SIS,
    ),
    Code.USER_GRADE_UNMAPPED: Rule(W, D, "A grade is not in the vocabulary", _DROPPED, _SIS),
    Code.USER_GRADE_MISSING: Rule(
        W, D, "A student has no grade", "The student was applied without a grade.", _SIS,
    ),
    Code.USER_DISABLED: Rule(
        I, D, "An account is switched off at the provider",
        "The person is kept with all memberships and cannot sign in.", "Nothing if it is meant so.",
    ),
    Code.USER_ID_CHANGED: Rule(
        W, A, "A person seems to have come back with another id",
        "No second account was made; the stored one stays until an administrator decides.",
        "Decide in the list of matches whether they are the same person.",
    ),
    Code.STUDENT_MULTI_SCHOOL: Rule(
        W, D, "A student belongs to several schools", "The primary school was kept.", _SIS,
    ),
    Code.STUDENT_MULTI_GROUP: Rule(
        W, D, "Students of a school are in several classes",
        "All memberships were applied; at sign-in they choose, or land in their default class.",
        "Nothing if it is meant so.",
    ),
    Code.ENR_USER_MISSING: Rule(
        W, D, "Enrollments name a person who is not in the feed", _UNLINKED,
        "Share the person, or remove the enrollments in the student information system.",
    ),
    Code.ENR_CLASS_MISSING: Rule(
        W, D, "Enrollments name a class that is not in the feed", _UNLINKED,
        "Share the class, or remove the enrollments in the student information system.",
    ),
    Code.ENR_ROLE_INVALID: Rule(
        E, D, "The role of an enrollment is not known",
        "The enrollment was left out; a membership that it had before stays.", _SIS,
    ),
    Code.ENR_SCHOOL_MISMATCH: Rule(
        W, D, "Students are in a class of a school that is not theirs",
        "All memberships were applied.",
        "Nothing if it is meant so; otherwise correct the students' school or their enrollments.",
    ),
    Code.ENR_OUTSIDE_DATES: Rule(
        I, D, "People are in classes outside the dates of their enrollments",
        "All memberships were applied.",
        "Nothing if it is meant so; otherwise leave ended enrollments out of the export.",
    ),
    Code.OVERRIDE_INVALID_NOW: Rule(
        W, A, "A default group is not the person's any more",
        "The choice is kept and counts again when the membership comes back; until then the person"
        " lands in the only group that is left, or is asked.",
        "Nothing if the person chooses another one; or set it for them (defaultGroupSet).",
    ),
    Code.PROGRESS_GROUP_MOVED: Rule(
        W, A, "A student has moved and their progress lies in the former group",
        "The progress is kept there and comes back with the student.",
        "Carry it to the new group (progressCarryOver), or leave it where it was earned.",
    ),
    Code.DEFAULTS_CLEARED: Rule(
        W, A, "A new school year has begun, and default groups of the last one are cleared",
        "People land in their only group, or are asked once; settings and progress are kept.",
        "Nothing: everybody chooses anew when they sign in.",
    ),
    Code.HOLD_TYPE_EMPTY: Rule(
        H, D, "Every record of a type is gone", _WAITS,
        "Check that the export is complete and sync again; approve if they are really gone.",
    ),
    Code.HOLD_SHARING_CHANGE: Rule(
        H, A, "The sharing rules would archive many records", _WAITS,
        "Look at the changes that wait. Approve them if the rules are meant so; else correct them.",
    ),
    Code.HOLD_DELETES: Rule(
        H, A, "Unusually many records would be archived", _WAITS,
        "Look at the changes that wait. Approve them if they are meant; else correct the feed.",
    ),
    Code.HOLD_UPDATES: Rule(
        H, A, "Unusually many records would be changed", _WAITS,
        "Look at the changes that wait. Approve them if they are meant; else correct the feed.",
    ),
    Code.HOLD_FIRST_SYNC: Rule(
        H, A, "The first sync takes over only what was approved",
        "What no approved preflight has shown waits; nothing of it was changed.",
        "Run a preflight, look at its report, and approve it.",
    ),
    Code.HOLD_DEPENDS: Rule(
        H, A, "A change needs another one that waits", "The change waits with it.",
        "Approve the changes that wait, or correct the feed.",
    ),
    Code.SCHOOL_VANISHED: Rule(
        H, A, "A school is no longer in the feed",
        "The school, its classes and its people stay as they are until an administrator decides.",
        "Check that the district still shares the school; approve if it is closed.",
    ),
    Code.USER_ROLE_CHANGED: Rule(
        H, A, "A student would become staff", "The person stays as stored until you decide.",
        "Check the person in the student information system; approve if it is right.",
    ),
    Code.ID_CHURN: Rule(
        H, A, "Many records have another id and are the same otherwise",
        "Nothing was changed: they would get their new ids, not be archived.",
        "Look at the pairs among the changes that wait and approve them.",
    ),
    Code.PROVIDER_SWITCH_UNMATCHED: Rule(
        H, A, "People were not found at the new provider", "They stay until you decide.",
        "Look at who would not match; approve if they have left, else correct their ids there.",
    ),
    Code.LICENCE_LIMIT: Rule(
        H, A, "There are more students than licences",
        "Nobody lost a licence; the students who have come new wait, in the chosen order.",
        "Ask for more licences, or share fewer students.",
    ),
    Code.LICENCE_NEAR: Rule(
        I, A, "More than nine tenths of the licences are used", "All were applied.",
        "Ask for more licences in time.",
    ),
    Code.USER_MATCH_AMBIGUOUS: Rule(
        E, A, "A person fits several who are stored",
        "No account was made or changed; the person waits in the list of matches.",
        "Decide in the list of matches which of them it is.",
    ),
    Code.USER_SOURCE_DUPLICATE: Rule(
        E, A, "Several people of the provider fit one who is stored",
        "None of them was taken over; they wait in the list of matches.",
        "Decide in the list of matches which of them it is.",
    ),
    Code.RUN_INTERNAL: Rule(
        F, U, "Homerow failed", _STOPPED,
        "Tell support the id of the run; the next run tries again.",
    ),
    Code.RUN_REVERT_REFUSED: Rule(
        F, A, "The run could not be undone any more", "Nothing was changed.",
        "See in the message what has changed since; undo the later runs first.",
    ),
}  # fmt: skip

COUNTED = frozenset(
    {
        Code.SCHOOL_NOT_IN_SCOPE,
        Code.STUDENT_MULTI_GROUP,
        Code.CLASS_TEACHER_OTHER_SCHOOL,
        Code.ENR_SCHOOL_MISMATCH,
        Code.ENR_OUTSIDE_DATES,
        Code.LICENCE_NEAR,
        Code.DEFAULTS_CLEARED,
    }
)
"""Codes of which one problem stands for several records: how many is another number every day.

It is the same problem all the same. `record.concerned` is the number.
"""


def effect_of(code: str, severity: Severity) -> str:
    """What Homerow did. A tenant's requirement makes an error of what is none otherwise (V6)."""
    rule = RULES[Code(code)]
    return _REQUIRED if severity is Severity.ERROR is not rule.severity else rule.effect
