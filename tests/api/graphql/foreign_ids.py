"""Every argument that is an id, and what is asked with another tenant's: see test_walls."""

QUERIES = {
    "Query.node": "query ($id: ID!) { found: node(id: $id) { id } }",
    "Query.tenant": "query ($id: ID!) { found: tenant(id: $id) { id } }",
    "Query.syncRun": "query ($id: ID!) { found: syncRun(id: $id) { id } }",
    "UserFilter.school": 'query ($id: ID!) { tenant(slug: "alpha") {'
    " found: users(filter: {school: $id}) { totalCount nodes { id } } } }",
    "UserFilter.group": 'query ($id: ID!) { tenant(slug: "alpha") {'
    " found: users(filter: {group: $id}) { totalCount nodes { id } } } }",
    "GroupFilter.school": 'query ($id: ID!) { tenant(slug: "alpha") {'
    " found: groups(filter: {school: $id}) { totalCount nodes { id } } } }",
    "AuditLogFilter.user": 'query ($id: ID!) { tenant(slug: "alpha") {'
    " found: auditLog(filter: {user: $id}) { totalCount nodes { id } } } }",
}
MUTATIONS = {
    "IntegrationConfigureInput.tenantId": "mutation ($id: ID!) { found: integrationConfigure("
    'input: {tenantId: $id, provider: ONEROSTER_CSV, path: "/x"}) {'
    " userErrors { field code message } } }",
    "IntegrationTestInput.tenantId": "mutation ($id: ID!) { found: integrationTest("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "SharingRulesPreviewInput.tenantId": "mutation ($id: ID!) { found: sharingRulesPreview("
    "input: {tenantId: $id, rules: []}) { userErrors { field code message } } }",
    "SharingRulesSetInput.tenantId": "mutation ($id: ID!) { found: sharingRulesSet("
    "input: {tenantId: $id, rules: []}) { userErrors { field code message } } }",
    "SyncScheduleSetInput.tenantId": "mutation ($id: ID!) { found: syncScheduleSet("
    "input: {tenantId: $id, everyDays: 2}) { userErrors { field code message } } }",
    "IntegrationPauseInput.tenantId": "mutation ($id: ID!) { found: integrationPause("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "IntegrationResumeInput.tenantId": "mutation ($id: ID!) { found: integrationResume("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "IntegrationDisconnectInput.tenantId": "mutation ($id: ID!) { found: integrationDisconnect("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "IntegrationActivateInput.tenantId": "mutation ($id: ID!) { found: integrationActivate("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "OnDemandSetInput.tenantId": "mutation ($id: ID!) { found: onDemandSet("
    "input: {tenantId: $id, policy: NOBODY}) { userErrors { field code message } } }",
    "RoleMapSetInput.tenantId": "mutation ($id: ID!) { found: roleMapSet("
    "input: {tenantId: $id, entries: []}) { userErrors { field code message } } }",
    "TenantUpdateInput.tenantId": "mutation ($id: ID!) { found: tenantUpdate("
    'input: {tenantId: $id, name: "X"}) { userErrors { field code message } } }',
    "LicencesSetInput.tenantId": "mutation ($id: ID!) { found: licencesSet("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "OnboardingApproveInput.tenantId": "mutation ($id: ID!) { found: onboardingApprove("
    "input: {tenantId: $id, syncRunId: $id}) { userErrors { field code message } } }",
    "OnboardingStepSetInput.tenantId": "mutation ($id: ID!) { found: onboardingStepSet("
    "input: {tenantId: $id, step: TILE}) { userErrors { field code message } } }",
    "ExpectationsSetInput.tenantId": "mutation ($id: ID!) { found: expectationsSet("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "SyncRunStartInput.tenantId": "mutation ($id: ID!) { found: syncRunStart("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "ExistingAccountsSetInput.tenantId": "mutation ($id: ID!) { found: existingAccountsSet("
    "input: {tenantId: $id, policy: REPLACE}) { userErrors { field code message } } }",
    "ExportCreateInput.tenantId": "mutation ($id: ID!) { found: exportCreate("
    "input: {tenantId: $id, kind: VALIDATION_ERRORS}) { userErrors { field code message } } }",
    "HoldLimitsSetInput.tenantId": "mutation ($id: ID!) { found: holdLimitsSet("
    "input: {tenantId: $id, limits: []}) { userErrors { field code message } } }",
    "LegacyImportInput.tenantId": "mutation ($id: ID!) { found: legacyImport("
    "input: {tenantId: $id, uploadId: $id}) { userErrors { field code message } } }",
    "AdminsImportInput.tenantId": "mutation ($id: ID!) { found: adminsImport("
    "input: {tenantId: $id, uploadId: $id}) { userErrors { field code message } } }",
    "StaffImportInput.tenantId": "mutation ($id: ID!) { found: staffImport("
    "input: {tenantId: $id, uploadId: $id}) { userErrors { field code message } } }",
    "RequirementsSetInput.tenantId": "mutation ($id: ID!) { found: requirementsSet("
    "input: {tenantId: $id, requirements: []}) { userErrors { field code message } } }",
    "YearRolloverSetInput.tenantId": "mutation ($id: ID!) { found: yearRolloverSet("
    'input: {tenantId: $id, rollsOn: "2026-08-20"}) { userErrors { field code message } } }',
    "YearRolloverCancelInput.tenantId": "mutation ($id: ID!) { found: yearRolloverCancel("
    'input: {tenantId: $id, rollsOn: "2026-08-20"}) { userErrors { field code message } } }',
    "YearRolloverPreflightInput.tenantId": "mutation ($id: ID!) { found: yearRolloverPreflight("
    "input: {tenantId: $id}) { userErrors { field code message } } }",
    "UserCreateInput.tenantId": "mutation ($id: ID!) { found: userCreate(input: {tenantId: $id,"
    ' username: "x", givenName: "X", familyName: "X", roles: [STUDENT]}) {'
    " userErrors { field code message } } }",
    "EligibilitySetInput.tenantId": "mutation ($id: ID!) { found: eligibilitySet("
    'input: {tenantId: $id, isEligible: true, filter: {grade: "03"}}) {'
    " userErrors { field code message } } }",
    "ProgressRecordInput.tenantId": "mutation ($id: ID!) { found: progressRecord("
    "input: {tenantId: $id, events: []}) { userErrors { field code message } } }",
    "TrainingSettingsSetBulkInput.tenantId": "mutation ($id: ID!) { found:"
    " trainingSettingsSetBulk(input: {tenantId: $id, speedTarget: 30, filter: {}}) {"
    " userErrors { field code message } } }",
    "UploadCreateInput.tenantId": "mutation ($id: ID!) { found: uploadCreate("
    "input: {tenantId: $id, purpose: LEGACY_IMPORT}) { userErrors { field code message } } }",
    "ValidationErrorsRevalidateInput.tenantId": "mutation ($id: ID!) { found:"
    " validationErrorsRevalidate(input: {tenantId: $id, all: true}) {"
    " userErrors { field code message } } }",
    "ApiTokenCreateInput.tenantId": "mutation ($id: ID!) { found: apiTokenCreate("
    'input: {tenantId: $id, name: "x", scopes: [ROSTER_READ]}) {'
    " userErrors { field code message } } }",
    "ContactsSetInput.tenantId": "mutation ($id: ID!) { found: contactsSet("
    "input: {tenantId: $id, contacts: []}) { userErrors { field code message } } }",
    "SignInMethodsSetInput.tenantId": "mutation ($id: ID!) { found: signInMethodsSet("
    "input: {tenantId: $id, methods: []}) { userErrors { field code message } } }",
}
# What tests of their own try with foreign ids: they are of no tenant by themselves.
INNER = {
    "Subscription.syncRunProgress",
    "SharingRulesSetInput.previewRunId",
    "OnboardingApproveInput.syncRunId",
    "LicencesSetInput.schoolIds",
    "MatchCandidateResolveInput.matchCandidateId",
    "MatchCandidateResolveInput.userId",
    "DefaultGroupSetInput.userId",
    "DefaultGroupSetInput.groupId",
    "DefaultSchoolSetInput.userId",
    "DefaultSchoolSetInput.schoolId",
    "SyncRunUserInput.id",
    "ExportCreateInput.runId",
    "EligibilityFilter.groupId",
    "EligibilityFilter.schoolId",
    "EligibilitySetInput.userId",
    "EligibilitySetInput.userIds",
    "GroupCreateInput.schoolId",
    "GroupUpdateInput.groupId",
    "GroupUpdateInput.schoolId",
    "IdentityUnlinkInput.userId",
    "MembershipArchiveInput.membershipId",
    "MembershipCreateInput.groupId",
    "MembershipCreateInput.userId",
    "SchoolUpdateInput.schoolId",
    "TrainingSettingsFilter.groupId",
    "TrainingSettingsFilter.schoolId",
    "TrainingSettingsResetInput.id",
    "TrainingSettingsSetInput.id",
    "User.trainingSettings",
    "UserArchiveInput.userId",
    "UserCreateInput.schoolIds",
    "UserRestoreInput.userId",
    "UserUpdateInput.schoolIds",
    "UserUpdateInput.userId",
    "AdminsImportInput.uploadId",
    "LegacyImportInput.uploadId",
    "StaffImportInput.uploadId",
    "PeopleMergeInput.keptId",
    "PeopleMergeInput.mergedId",
    "PeopleMergeUndoInput.mergeId",
    "ProgressCarryOverInput.fromGroupId",
    "ProgressCarryOverInput.toGroupId",
    "ProgressCarryOverInput.userIds",
    "ProgressCarryUndoInput.carryIds",
    "ProgressEventInput.groupId",
    "ProgressEventInput.userId",
    "SyncRunApproveInput.syncRunId",
    "SyncRunCancelInput.syncRunId",
    "SyncRunDiscardInput.syncRunId",
    "SyncRunRevertInput.syncRunId",
    "ValidationErrorAcceptInput.ids",
    "ValidationErrorReopenInput.ids",
    "ValidationErrorSelection.tenantId",
    "ValidationErrorsRevalidateInput.ids",
    "ApiTokenRevokeInput.apiTokenId",
    "IdentityForgetInput.userId",
    "InvitationSendInput.userIds",
    "SessionRevokeInput.sessionId",
    "SessionsRevokeAllInput.userId",
}
