"""The permission matrix: who may use which field of the API, and which door of HTTP.

The checks, docs/permissions.md and the tests are made of it; a field without an entry fails them.
How much of a tenant people see behind a field is another thing: see domain/reach.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.errors import Forbidden
from domain.people.callers import PEOPLE, TENANT_ADMINS, TOKENS, Caller, CallerRole, Scope

_OPERATOR: Final = frozenset({CallerRole.OPERATOR})
_TRUSTED: Final = _OPERATOR | {CallerRole.MACHINE}
"""The tokens that change something."""
_SCHOOL_ADMINS: Final = TENANT_ADMINS | {CallerRole.SCHOOL_ADMIN}
_TEACHERS: Final = _SCHOOL_ADMINS | {CallerRole.TEACHER}

_WHO: Final[Mapping[frozenset[CallerRole], str]] = {
    frozenset(): "This is for tokens, not for people.",
    TENANT_ADMINS: "Only a district's administrators may do this.",
    _SCHOOL_ADMINS: "Only administrators may do this.",
    _TEACHERS: "Only administrators and teachers may do this.",
    PEOPLE - {CallerRole.STUDENT}: "Students may not do this.",
}
"""Who may, as people are told who may not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who is one of `roles`; a token needs one of `scopes` as well, where there are any."""

    roles: frozenset[CallerRole]
    scopes: tuple[Scope, ...] = ()

    def refusal(self, caller: Caller) -> str | None:
        """Why not, in a sentence; None for whoever may."""
        if self.roles.isdisjoint(caller.roles):
            return self._role_refusal(caller)
        if caller.is_person or not self.scopes or not caller.scopes.isdisjoint(self.scopes):
            return None
        return f"This needs a token with the scope {' or '.join(self.scopes)}."

    def _role_refusal(self, caller: Caller) -> str:
        if self.roles == _OPERATOR:
            return "Only an operator may do this."
        if caller.is_person:
            return _WHO[self.roles & PEOPLE]
        return "Support may not do this."


EVERYBODY: Final = Rule(frozenset(CallerRole))
"""Who is signed in at all. Fields with it are not asked."""
READS: Final = Rule(frozenset(CallerRole), (Scope.ROSTER_READ,))
READS_SUMS: Final = Rule(READS.roles - {CallerRole.STUDENT}, (Scope.ROSTER_READ,))
READS_RUNS: Final = Rule(TOKENS | _SCHOOL_ADMINS, (Scope.ROSTER_READ,))
READS_ALL: Final = Rule(TOKENS | TENANT_ADMINS, (Scope.ROSTER_READ,))
READS_TOTALS: Final = Rule(TOKENS | TENANT_ADMINS)
"""Of a run: whoever starts one with a token sees how it goes."""
SYNCS: Final = Rule(TOKENS | TENANT_ADMINS, (Scope.SYNC_RUN,))
CANCELS: Final = Rule(_TRUSTED | TENANT_ADMINS, (Scope.SYNC_RUN,))
ADMINISTERS: Final = Rule(_TRUSTED | TENANT_ADMINS, (Scope.TENANT_ADMIN,))
OPERATES: Final = Rule(_OPERATOR, (Scope.TENANT_ADMIN,))
TEACHES: Final = Rule(_TRUSTED | _TEACHERS, (Scope.TENANT_ADMIN,))
CHOOSES: Final = Rule(_TRUSTED | PEOPLE, (Scope.TRAINING_WRITE, Scope.TENANT_ADMIN))
RECORDS: Final = Rule(_TRUSTED, (Scope.PROGRESS_WRITE,))
TRAINS: Final = Rule(_TRUSTED, (Scope.TRAINING_READ,))


def _of(owner: str, rule: Rule, names: str) -> dict[str, Rule]:
    return {f"{owner}.{name}": rule for name in names.split()}


_ROOTS: Final[Mapping[str, Rule]] = {
    "Query.viewer": EVERYBODY,
    **_of("Query", READS, "node tenants tenant keyboardLayouts"),
    "Query.syncRun": READS_RUNS,
    "Query.onboardingRequests": OPERATES,
    "Mutation.tenantCreate": OPERATES,
    **_of("Mutation", ADMINISTERS, "tenantUpdate licencesSet"),
    **_of("Mutation", ADMINISTERS, "onboardingApprove onboardingStepSet expectationsSet"),
    **_of("Mutation", ADMINISTERS, "integrationConfigure integrationTest existingAccountsSet"),
    **_of("Mutation", ADMINISTERS, "syncScheduleSet integrationPause integrationResume"),
    **_of("Mutation", ADMINISTERS, "integrationDisconnect integrationActivate onDemandSet"),
    **_of("Mutation", ADMINISTERS, "sharingRulesPreview sharingRulesSet roleMapSet"),
    **_of("Mutation", ADMINISTERS, "requirementsSet holdLimitsSet"),
    **_of("Mutation", ADMINISTERS, "validationErrorAccept validationErrorReopen"),
    "Mutation.matchCandidateResolve": ADMINISTERS,
    **_of("Mutation", SYNCS, "syncRunStart validationErrorsRevalidate yearRolloverPreflight"),
    "Mutation.syncRunCancel": CANCELS,
    **_of("Mutation", ADMINISTERS, "syncRunApprove syncRunDiscard syncRunRevert"),
    **_of("Mutation", ADMINISTERS, "yearRolloverSet yearRolloverCancel"),
    "Mutation.exportCreate": READS_RUNS,
    **_of("Mutation", ADMINISTERS, "peopleMerge peopleMergeUndo identityUnlink"),
    **_of("Mutation", ADMINISTERS, "userCreate userUpdate userArchive userRestore"),
    **_of("Mutation", ADMINISTERS, "groupCreate groupUpdate schoolUpdate"),
    **_of("Mutation", ADMINISTERS, "membershipCreate membershipArchive eligibilitySet"),
    **_of("Mutation", ADMINISTERS, "uploadCreate legacyImport adminsImport staffImport"),
    "Mutation.progressRecord": RECORDS,
    **_of("Mutation", ADMINISTERS, "progressCarryOver progressCarryUndo"),
    **_of("Mutation", CHOOSES, "defaultGroupSet defaultSchoolSet"),
    **_of("Mutation", TEACHES, "trainingSettingsSet trainingSettingsReset"),
    "Mutation.trainingSettingsSetBulk": TEACHES,
    "Subscription.syncRunProgress": READS_RUNS,
}
_SIGNING_IN: Final[Mapping[str, Rule]] = {
    **_of("Viewer", EVERYBODY, "name roles isOperator scopes actor session sessions"),
    **_of("Viewer", READS, "tenant user"),
    "AuditEntry.user": READS,
    **_of("Tenant", READS_ALL, "contacts signInMethods"),
    **_of("Tenant", ADMINISTERS, "apiTokens auditLog"),
    **_of("Mutation", ADMINISTERS, "apiTokenCreate apiTokenRevoke contactsSet"),
    **_of("Mutation", ADMINISTERS, "signInMethodsSet identityForget invitationSend"),
    **_of("IdentityForgetPayload", READS, "user"),
    **_of("InvitationSendPayload", READS, "users"),
    "User.signIn": READS_RUNS,
    # Of others only where the domain allows it.
    **_of("Mutation", EVERYBODY, "sessionRevoke sessionsRevokeAll"),
}
_TENANT: Final[Mapping[str, Rule]] = {
    **_of("Tenant", EVERYBODY, "id slug name displayName timeZone status isListed createdAt"),
    **_of("Tenant", READS, "schools groups users schoolYear trainingSettings"),
    **_of("Tenant", READS_RUNS, "syncRuns validationErrors validationErrorGroups"),
    **_of("Tenant", READS_ALL, "subscriptionSummary integration onboarding yearRollovers"),
    **_of("Tenant", READS_ALL, "matchCandidates peopleMerges progressSummary"),
}
_RUN: Final[Mapping[str, Rule]] = {
    **_of("SyncRun", EVERYBODY, "id trigger mode state phase requestedAt startedAt finishedAt"),
    **_of("SyncRun", EVERYBODY, "requestedBy cancelRequestedAt cancelledBy counts"),
    **_of("SyncRun", READS_TOTALS, "progress leftOut failure steps"),
    **_of("SyncRun", READS_RUNS, "changes validationErrors"),
    **_of("SyncRun", READS, "tenant reverts revertedBy"),
    **_of("SyncRun", READS_ALL, "preflight hold"),
    "PreflightReport.items": READS_ALL,
    **_of("Onboarding", READS_ALL, "lastPreflight approvedPreflight"),
}
_ROSTER: Final[Mapping[str, Rule]] = {
    **{
        f"{owner}.changes": READS_RUNS
        for owner in ("School", "Term", "Course", "Group", "User", "Membership")
    },
    **_of("School", READS_SUMS, "progressSummary"),
    **_of("Group", READS_SUMS, "progressSummary"),
    **_of("ProgressCarry", READS, "user fromGroup toGroup"),
    "MatchCandidate.candidates": READS_ALL,
    **_of("PeopleMerge", READS_ALL, "kept merged"),
}
# What was changed is read by whoever may read as well as change.
_PAYLOADS: Final[Mapping[str, Rule]] = {
    "PeopleMergePayload.preview": READS,
    **_of("IdentityUnlinkPayload", READS, "user newUser"),
    **{
        f"{act}Payload.{shown}": READS
        for shown, acts in {
            "user": "UserCreate UserUpdate UserArchive UserRestore EligibilitySet"
            " DefaultGroupSet DefaultSchoolSet",
            "group": "GroupCreate GroupUpdate",
            "school": "SchoolUpdate",
            "membership": "MembershipCreate MembershipArchive",
            "node": "TrainingSettingsSet TrainingSettingsReset",
        }.items()
        for act in acts.split()
    },
}

# HTTP beside GraphQL. Links that are good once are not here: they are the right themselves.
_DOORS: Final[Mapping[str, Rule]] = {
    "GET /tenants/{slug}/validation-errors.csv": READS_RUNS,
    "GET /tenants/{slug}/sync-runs/{run_id}/changes.csv": READS_ALL,
    "GET /tenants/{slug}/admins.csv": READS_ALL,
    "GET /tenants/{slug}/staff.csv": READS_ALL,
    "GET /training/{slug}/users": TRAINS,
    "GET /training/{slug}/users/{user_id}": TRAINS,
}

MATRIX: Final[Mapping[str, Rule]] = {
    **_ROOTS,
    **_SIGNING_IN,
    **_TENANT,
    **_RUN,
    **_ROSTER,
    **_PAYLOADS,
    **_DOORS,
}
"""By type and field, as the schema names them, or by method and path."""


def demand(caller: Caller, key: str) -> None:
    """Raises Forbidden."""
    if refusal := MATRIX[key].refusal(caller):
        raise Forbidden(refusal)
