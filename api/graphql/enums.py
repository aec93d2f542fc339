"""The domain's enumerations as the API shows them: the same classes, with descriptions."""

from api.graphql.described import describe
from domain.integrations.models import IntegrationStatus, SharingSubject
from domain.integrations.provider_settings import OneRosterAuth, OneRosterVersion
from domain.people.callers import Scope
from domain.roster.models import Origin
from domain.roster.records import MembershipRole, RecordType, Role
from domain.roster.source import Provider
from domain.sync.matches import MatchDecision, MatchResolution
from domain.sync.models import ChangeAction, SyncMode, SyncRunState, SyncTrigger
from domain.tenants.models import SubscriptionKind, TenantStatus
from domain.validation.codes import RULES, Code, Owner, Severity
from domain.validation.models import ErrorState

describe(
    TenantStatus,
    "Whether a subscription is in use.",
    ACTIVE="In use: it syncs by its schedule.",
    PAUSED="Kept as it is: nothing syncs by schedule.",
    CLOSED="Over.",
)
describe(
    SubscriptionKind,
    "What kind of contract a subscription is.",
    DEMO="For showing the product.",
    TRIAL="For trying it out.",
    PAID="A customer's.",
)
describe(
    Provider,
    "Where a tenant's roster comes from.",
    CLEVER="Clever Secure Sync.",
    CLASSLINK="ClassLink Roster Server.",
    ONEROSTER="Any provider that speaks OneRoster over REST.",
    ONEROSTER_CSV="A OneRoster CSV package: a folder or a zip file.",
)
describe(
    IntegrationStatus,
    "Whether an integration is in use.",
    ACTIVE="It syncs by its schedule and on demand.",
    PAUSED="Kept as it is: nothing syncs until it is resumed.",
    DISCONNECTED="Ended; another integration may take its place.",
)
describe(
    OneRosterVersion,
    "A version of OneRoster's API.",
    V1_1="OneRoster 1.1 (`/ims/oneroster/v1p1`).",
    V1_2="OneRoster 1.2 (`/ims/oneroster/rostering/v1p2`).",
)
describe(
    OneRosterAuth,
    "How a OneRoster server is told who asks.",
    OAUTH2="OAuth 2 client credentials; key and secret in the Authorization header.",
    OAUTH2_BODY="OAuth 2 client credentials; key and secret in the body of the token request.",
    OAUTH1_SHA1="OAuth 1.0a: every request is signed with HMAC-SHA1.",
    OAUTH1_SHA256="OAuth 1.0a: every request is signed with HMAC-SHA256.",
    BEARER="A token that never changes.",
)
describe(
    SharingSubject,
    "What a sharing rule speaks of. What the values of each are compared with is in "
    "docs/providers.md.",
    SCHOOL="Schools.",
    GRADE="Grades, as CEDS codes.",
    COURSE="Courses.",
    SUBJECT="Subjects of groups and courses.",
    TERM="Terms.",
)
describe(
    Origin,
    "Where an object comes from. A sync touches only what comes from the provider.",
    LEGACY="It was there before rostering.",
    PROVIDER="The provider shares it.",
    IMPORT="It was imported by an administrator.",
)
describe(
    Role,
    "What a person is in the tenant; a person may have several roles.",
    STUDENT="Learns.",
    TEACHER="Teaches.",
    STAFF="Works at a school without teaching: an aide or a counsellor, say.",
    SCHOOL_ADMIN="Administers schools.",
    DISTRICT_ADMIN="Administers the district.",
)
describe(
    MembershipRole,
    "What a person is in a group.",
    STUDENT="Learns in it.",
    TEACHER="Teaches it.",
    STAFF="Helps in it.",
)
describe(
    RecordType,
    "The kinds of records that a roster is made of.",
    SCHOOL="A school.",
    TERM="A term, a semester or a school year.",
    COURSE="A subject that is taught, of which groups are the classes.",
    GROUP="A class: Clever's section, OneRoster's class.",
    USER="A person.",
    MEMBERSHIP="A person in a group with a role.",
)
describe(
    SyncMode,
    "What a run does.",
    FULL="Reads the whole roster; what is missing from it is archived.",
    DELTA="Reads only what has changed, where the provider can tell.",
    PREFLIGHT="Does everything but apply.",
    REVALIDATION="Reads again what failed validation.",
    SINGLE_USER="Reads one person.",
)
describe(
    SyncTrigger,
    "What asked for a run.",
    SCHEDULE="The tenant's schedule.",
    MANUAL="Somebody, through the API or the command line.",
)
describe(
    SyncRunState,
    "Where a run is in its life. More states may come.",
    QUEUED="It waits for a worker.",
    FETCHING="The roster is being read.",
    VALIDATING="What was read is being checked.",
    PLANNING="What was read is being compared with what is stored.",
    APPLYING="The changes are being stored, in one transaction.",
    SUMMARISING="The changes are stored; the summary is being made.",
    SUCCEEDED="All was applied.",
    SUCCEEDED_WITH_ERRORS="All was applied but the records that failed validation.",
    SUCCEEDED_WITH_HOLD="What is allowed unasked was applied; the rest waits for approval.",
    HELD="Nothing was applied: the plan waits for approval.",
    FAILED="It ended without changing anything; see `failure`.",
    CANCELLED="It was cancelled before anything was applied.",
)
describe(
    ChangeAction,
    "What a run did to a record.",
    CREATE="It was not there before.",
    UPDATE="Some of its fields have other values.",
    ARCHIVE="It is no longer shared and was archived; nothing is ever erased.",
    RESTORE="It had been archived and is shared again.",
)
_LINK = "The record is one of the candidates, who has the new id from the next sync on."
_CREATE = "It is somebody else: the next sync creates them."
_IGNORE = "It stays out until somebody decides otherwise."
describe(
    MatchDecision,
    "What can be decided about a match.",
    LINK=_LINK,
    CREATE=_CREATE,
    IGNORE=_IGNORE,
)
describe(
    MatchResolution,
    "How a match was closed.",
    LINK=_LINK,
    CREATE=_CREATE,
    IGNORE=_IGNORE,
    GONE="A sync has closed it: one of the two ids is gone, or the other one is back.",
)
describe(
    ErrorState,
    "What has become of a validation error.",
    OPEN="The latest run has seen it.",
    ACCEPTED="Somebody accepted it: it stays quiet until its value changes.",
    RESOLVED="It is gone.",
)
describe(
    Severity,
    "What a validation error does, from the worst.",
    FATAL="The run stops and nothing is applied.",
    HOLD="The run waits for an administrator.",
    ERROR="The record is not applied; what was stored of it stays.",
    WARNING="The value is left out; the record is applied.",
    INFO="Nothing; it is a note.",
)
describe(
    Owner,
    "Who can mend a validation error.",
    name="ErrorOwner",
    DISTRICT="The district, in its student information system.",
    PROVIDER="The provider.",
    ADMINISTRATOR="An administrator of this tenant, here.",
    HOMEROW="Homerow itself.",
)
describe(
    Code,
    "What is wrong. Codes are stable; more may come.",
    name="ValidationCode",
    **{code.value: f"{rule.title}." for code, rule in RULES.items()},
)
describe(
    Scope,
    "What a token may be used for.",
    ROSTER_READ="Reading: `roster:read`.",
    SYNC_RUN="Starting syncs: `sync:run`.",
    TENANT_ADMIN="Administering tenants and their integrations: `tenant:admin`.",
)
