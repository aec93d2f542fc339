"""The domain's enumerations as the API shows them: the same classes, with descriptions."""

from api.graphql.described import describe
from domain.errands.models import ErrandKind, ErrandState
from domain.integrations.existing_accounts import MatchKey
from domain.integrations.models import (
    ExistingAccounts,
    IntegrationStatus,
    OnDemand,
    SharingSubject,
)
from domain.integrations.provider_settings import OneRosterAuth, OneRosterVersion
from domain.people.callers import CallerRole, Scope
from domain.people.models import SignInMethodName
from domain.roster.models import Origin
from domain.roster.records import MembershipRole, RecordType, Role
from domain.roster.source import Provider
from domain.sync import steps
from domain.sync.checklist import StepName, StepState
from domain.sync.matches import MatchDecision, MatchResolution
from domain.sync.models import ChangeAction, SyncMode, SyncRunState, SyncTrigger
from domain.sync.preflight_items import PreflightOutcome, PreflightTopic
from domain.tenants.models import LicenceOrder, SubscriptionKind, TenantStatus
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
    LicenceOrder,
    "Who gets a licence first where there are too few. Nobody who has one loses it.",
    CREATED="Whoever was here before, then in the order of the provider's list.",
    SCHOOL_PRIORITY="The students of the schools that are named, in their order; then the others.",
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
    OnDemand,
    "Who may ask for syncs beside the schedule. Operators always may.",
    NOBODY="Nobody else.",
    SUPPORT="The product's support.",
    ADMINISTRATORS="The tenant's administrators and their API tokens as well.",
)
describe(
    ExistingAccounts,
    "What becomes of people who were there before rostering.",
    REPLACE="They are archived; nobody is matched.",
    MATCH_USERNAME="Who has the username of somebody in the feed goes on as that person; the "
    "others are archived.",
    MATCH_KEYS="Who has the number or the email address of somebody in the feed goes on as that "
    "person; the others are archived.",
)
describe(
    MatchKey,
    "What people are matched by.",
    NUMBER="The student or staff number.",
    EMAIL="The email address.",
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
    REVALIDATION="Reads the records of validation errors again, by their ids.",
    SINGLE_USER="Reads one person by name and explains each step.",
    REVERT="Undoes what a finished run did.",
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
    HOLD="What it speaks of waits for an administrator.",
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
    PROGRESS_WRITE="Recording results: `progress:write`.",
    TRAINING_READ="Reading effective settings and groups: `training:read`.",
    TRAINING_WRITE="Choosing default groups and schools: `training:write`.",
)
describe(
    CallerRole,
    "What somebody who asks is to a tenant.",
    OPERATOR="Runs the product, for all tenants.",
    SUPPORT="Helps customers: reads and starts syncs, in all tenants.",
    MACHINE="A machine with an API token of the tenant.",
    SUPER_ADMIN="Administers the tenant's subscription.",
    DISTRICT_ADMIN="Administers the district.",
    SCHOOL_ADMIN="Administers schools.",
    TEACHER="Teaches groups.",
    STAFF="Works at schools.",
    STUDENT="Learns.",
)
describe(
    SignInMethodName,
    "A way of signing in.",
    CLEVER="With Clever.",
    CLASSLINK="With ClassLink.",
    GOOGLE="With a Google account whose name is the username.",
    MICROSOFT="With a Microsoft account whose name is the username.",
    PASSWORD="With a password of our own: super admins, and people who were imported.",  # noqa: S106 - a way
)
describe(
    StepName,
    "The steps from a district's request to its tile.",
    name="OnboardingStepName",
    REQUESTED="The district has asked for it, or the provider lists it.",
    CREDENTIALS="The tenant is connected to its provider.",
    PREFLIGHT="A preflight has shown what the first sync would do.",
    APPROVED="Somebody has approved what it showed.",
    LIVE="The first sync is applied and people may sign in.",
    TILE="The tile is in the LaunchPad or the Portal.",
)
describe(
    StepState,
    "How a step of the onboarding stands.",
    name="OnboardingStepState",
    OPEN="It is to be done.",
    DONE="It is done.",
    LAPSED="It was done, and has to be done again.",
)
describe(
    steps.StepName,
    "The steps of a run of what was asked for by name.",
    name="SyncStepName",
    FETCHED="What the provider says.",
    IN_SCOPE="Whether the sharing rules and the role map take it.",
    VALID="What is wrong with it.",
    MATCHED="Who it is.",
    LICENSED="Whether it takes a licence, and gets one.",
    CHANGED="What was stored.",
)
describe(
    steps.StepOutcome,
    "How a step ended.",
    name="SyncStepOutcome",
    PASSED="As it should.",
    WARNING="As it should, with something to be looked at.",
    STOPPED="Here it ended.",
    SKIPPED="It did not come to this.",
)
describe(
    PreflightTopic,
    "The questions that a preflight answers.",
    SCHOOLS="Do the schools match those that were expected?",
    CLASSES="Do the classes?",
    EXISTING_USERS="Who is here already, and what becomes of them?",
    LICENCES="Are there enough licences?",
    USERNAMES="Do the usernames match?",
    LOCAL_DATA="What happens to the settings and the progress that are here?",
)
describe(
    PreflightOutcome,
    "What a preflight answers for one record. More answers may come.",
    SHARED="It is shared; nobody has said what is expected.",
    SHARED_AND_EXPECTED="It is shared, as was expected.",
    SHARED_NOT_EXPECTED="It is shared and was not expected.",
    EXPECTED_NOT_SHARED="It was expected and is not shared.",
    LEFT_OUT="It is shared, and a sharing rule leaves it out.",
    WITHOUT_TEACHER="A class without a teacher.",
    EMPTY="A class without students.",
    UNMATCHED="It was not found again at the new provider, and would be archived.",
    MATCHED="It would be linked with a record of the provider, and stay what it is here.",
    REVIVED="It is archived, and would be restored.",
    ARCHIVED="It would be archived.",
    AMBIGUOUS="A record of the provider that may be several of those here: somebody decides.",
    KEPT="It stays as it is, but for what the provider has changed of it.",
    WITHOUT_LICENCE="A student who would wait for a licence.",
    WOULD_CHANGE="The username would be another one.",
    TAKEN="The username belongs to somebody else.",
    CASE_CLASH="The username is somebody else's but for upper and lower case.",
    KEPT_WITH_ARCHIVED="Kept with the archived record; it comes back with it.",
    COMES_BACK="It comes back with the restored record.",
    STAYS_BEHIND="Who leaves a group leaves it there: it is kept, comes back with them, and can be "
    "carried to another group.",
    CARRIED_OVER="It stays with the person, who is matched.",
)
describe(
    ErrandKind,
    "What only a worker may do.",
    LEGACY_IMPORT="Taking over, or looking through, what was there before rostering.",
    PEOPLE_MERGE="Making one person of two.",
    PEOPLE_MERGE_UNDO="Making two people of one again.",
    IDENTITY_UNLINK="Undoing a link that was wrong.",
    SETTINGS_BULK="Setting the training settings of many people.",
    PEOPLE_IMPORT="Taking over admins or staff from a file, or looking through it.",
    ROSTER_EDIT="Adding and changing what no provider manages.",
)
describe(
    ErrandState,
    "How far an errand is.",
    WAITING="It waits: for a worker, or for a sync of the tenant to end.",
    RUNNING="A worker is at it.",
    DONE="It is done.",
    REFUSED="It was refused, and nothing was changed.",
)
