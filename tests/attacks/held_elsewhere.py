"""Which cases of the list are tried beside what they attack, and by which tests."""

from collections.abc import Mapping
from typing import Final

HELD_ELSEWHERE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "A1": {
        "tests/api/graphql/test_limits.py": (
            "test_a_bomb_of_fragments_is_refused_at_once",
            "test_a_bomb_of_aliases_is_refused",
        ),
    },
    "A2": {
        "tests/api/graphql/test_limits.py": (
            "test_unknown_and_cyclic_fragments_are_told_by_validation",
        ),
    },
    "A3": {
        "tests/api/graphql/test_limits.py": (
            "test_a_deep_value_and_a_deep_fragment_chain_are_refused",
        ),
    },
    "A4": {
        "tests/api/graphql/test_limits.py": ("test_aliases_are_counted_where_they_take_effect",),
    },
    "A8": {
        "tests/api/graphql/test_limits.py": (
            "test_pages_within_pages_are_multiplied",
            "test_the_fragments_of_a_page_cost_as_often_as_they_are_spread",
        ),
    },
    "A10": {
        "tests/api/graphql/test_http.py": (
            "test_a_malformed_body_is_a_bad_request",
            "test_a_body_without_an_end_is_cut_at_the_limit",
            "test_a_compressed_body_is_refused",
        ),
    },
    "A11": {
        "tests/api/graphql/test_http.py": ("test_a_nul_character_is_bad_input",),
    },
    "A14": {
        "tests/api/graphql/test_limits.py": (
            "test_kept_documents_are_bounded_by_their_length_together",
            "test_what_is_refused_is_not_kept",
        ),
    },
    "A15": {
        "tests/api/graphql/test_exports_streaming.py": (
            "test_a_client_that_goes_away_ends_the_reading",
        ),
    },
    "B1": {
        "tests/api/graphql/test_http.py": (
            "test_what_goes_wrong_here_is_masked_and_logged_without_its_text",
            "test_a_failure_before_execution_is_masked_too",
        ),
        "tests/api/graphql/test_executing.py": (
            "test_what_a_loader_cannot_read_is_told_where_it_belongs",
        ),
    },
    "B2": {
        "tests/api/graphql/test_http.py": (
            "test_nothing_is_suggested",
            "test_nothing_is_suggested_for_variables",
        ),
    },
    "B3": {
        "tests/api/graphql/test_http.py": ("test_introspection_is_for_known_callers",),
    },
    "B4": {
        "tests/api/graphql/test_http.py": (
            "test_the_page_for_developers_is_there_on_their_machines_only",
        ),
    },
    "B5": {
        "tests/api/graphql/test_walls.py": (
            "test_another_tenants_id_is_as_good_as_none_in_every_query",
            "test_nothing_is_read_for_another_tenants_id",
        ),
    },
    "B6": {
        "tests/api/graphql/test_roles.py": (
            "test_lists_and_their_totals_are_of_what_people_see",
            "test_school_admins_see_the_errors_of_their_schools_and_count_them",
        ),
    },
    "B8": {
        "tests/domain/providers/test_oneroster_csv_rows.py": (
            "test_a_problem_shows_what_is_mapped_and_nothing_else",
        ),
    },
    "C1": {
        "tests/api/graphql/test_walls.py": (
            "test_every_argument_that_is_an_id_is_tried_below",
            "test_another_tenant_is_not_found_in_every_mutation",
        ),
        "tests/api/graphql/test_pages.py": (
            "test_a_cursor_is_of_one_list_with_its_filter_and_order",
        ),
        "tests/api/graphql/test_legacy.py": (
            "test_another_tenants_token_can_neither_ask_nor_name_an_upload",
        ),
        "tests/api/graphql/test_roles.py": ("test_another_tenant_is_not_there_for_anybody",),
    },
    "C2": {
        "tests/domain/test_walls.py": ("test_a_tenant_is_seen_alone_by_a_query_without_a_filter",),
    },
    "C3": {
        "tests/domain/test_walls.py": ("test_without_a_tenant_no_row_is_seen",),
    },
    "C5": {
        "tests/domain/test_walls.py": (
            "test_a_row_of_another_tenant_cannot_be_written",
            "test_an_update_and_a_delete_reach_only_the_tenant",
        ),
    },
    "C6": {
        "tests/domain/test_walls.py": (
            "test_a_reference_into_another_tenant_cannot_be_written",
            "test_every_reference_between_tenant_tables_carries_the_tenant",
        ),
    },
    "C7": {
        "tests/domain/training/test_recording.py": (
            "test_the_same_id_of_another_tenant_is_another_event",
        ),
    },
    "C8": {
        "tests/api/graphql/test_http.py": ("test_callers_at_the_same_time_see_their_own",),
    },
    "C9": {
        "tests/domain/errands/test_errands.py": ("test_an_errand_of_another_tenant_is_not_seen",),
    },
    "D1": {
        "tests/api/graphql/test_roles.py": (
            "test_a_field_is_refused_exactly_where_the_matrix_says_so",
        ),
        "tests/api/test_matrix.py": ("test_every_field_of_the_main_types_has_an_entry",),
    },
    "D2": {
        "tests/api/graphql/test_authentication.py": (
            "test_a_teacher_sees_a_group_as_long_as_they_teach_it",
        ),
    },
    "D3": {
        "tests/api/graphql/test_api_tokens.py": (
            "test_a_token_can_do_no_more_than_who_makes_it",
            "test_a_district_admin_signs_in_anew_and_the_token_lasts_as_long_as_the_role",
        ),
    },
    "E3": {
        "tests/api/graphql/test_authentication.py": ("test_a_cookie_opens_only_to_pages_of_ours",),
        "tests/api/signing_in/test_csrf.py": ("test_no_form_of_another_site_is_taken",),
    },
    "E6": {
        "tests/api/signing_in/test_passwords.py": (
            "test_a_planted_cookie_never_becomes_a_session",
        ),
        "tests/api/signing_in/test_csrf.py": ("test_of_two_cookies_of_one_name_none_is_believed",),
    },
    "E7": {
        "tests/api/graphql/test_authentication.py": ("test_a_session_ends",),
        "tests/api/graphql/test_sessions.py": ("test_administrators_end_all_sessions_of_a_person",),
        "tests/api/signing_in/test_passwords.py": (
            "test_a_forgotten_password_is_set_anew_by_the_mailed_link",
        ),
    },
    "F1": {
        "tests/api/signing_in/test_sso_flow.py": (
            "test_a_state_of_another_browser_is_not_accepted",
            "test_a_state_that_nobody_knows_is_not_accepted",
            "test_a_state_of_another_provider_is_not_accepted",
            "test_a_callback_that_somebody_else_sends_again_signs_nobody_in",
        ),
    },
    "F2": {
        "tests/api/signing_in/test_sso_flow.py": (
            "test_the_code_of_a_portal_is_never_exchanged",
            "test_a_portal_twice_in_a_row_is_a_circle_and_is_left",
        ),
    },
    "F3": {
        "tests/api/signing_in/test_sso_flow.py": (
            "test_a_code_that_was_put_into_ones_own_callback_is_worth_nothing",
        ),
    },
    "F4": {
        "tests/api/signing_in/test_sso_returns.py": (
            "test_a_callback_that_says_it_is_another_providers_is_refused",
        ),
    },
    "F5": {
        "tests/api/signing_in/test_sso_id_tokens.py": (
            "test_a_token_without_a_signature_is_refused",
            "test_a_token_signed_with_the_public_key_as_a_secret_is_refused",
            "test_a_claim_that_is_wrong_is_refused",
            "test_keys_that_a_token_brings_along_are_not_looked_at",
        ),
        "tests/api/signing_in/test_sso_outbound.py": (
            "test_unknown_keys_are_asked_for_once_a_minute",
        ),
    },
    "F6": {
        "tests/api/signing_in/test_sso_returns.py": (
            "test_nobody_is_sent_to_a_place_that_we_do_not_know",
        ),
    },
    "F7": {
        "tests/api/signing_in/test_sso_identity.py": (
            "test_who_gets_in",
            "test_an_account_of_another_microsoft_tenant_is_refused",
            "test_an_address_of_the_roster_or_of_another_tenant_opens_nothing",
            "test_the_first_account_that_fits_is_bound",
        ),
        "tests/api/signing_in/flows/test_misdeeds.py": (
            "test_a_guest_is_not_taken_for_somebody_of_the_district",
        ),
    },
    "F8": {
        "tests/api/signing_in/test_sso_identity.py": (
            "test_another_tenants_page_lets_nobody_in_and_makes_nobody",
        ),
        "tests/api/signing_in/test_passwords.py": (
            "test_a_password_is_good_at_its_own_tenant_alone",
        ),
    },
    "F9": {
        "tests/api/signing_in/test_sso_faults.py": (
            "test_a_token_endpoint_that_gives_no_token_lets_nobody_in",
            "test_a_provider_that_does_not_answer_is_not_waited_for",
        ),
        "tests/api/signing_in/test_sso_outbound.py": (
            "test_an_answer_that_is_no_answer_is_a_fault",
        ),
    },
    "F10": {
        "tests/api/signing_in/test_sso_flow.py": ("test_a_new_sign_in_replaces_the_session",),
        "tests/api/signing_in/test_csrf.py": ("test_another_site_signs_nobody_in",),
    },
    "F11": {
        "tests/api/signing_in/test_sso_identity.py": (
            "test_a_provider_vouches_for_nobody_whom_the_roster_does_not_have",
            "test_who_is_known_may_still_be_refused",
        ),
        "tests/domain/signing_in/test_matching.py": (
            "test_a_former_id_of_two_people_tells_nobody",
        ),
    },
    "G1": {
        "tests/domain/providers/http/test_guard.py": (
            "test_an_address_is_judged_alike_in_every_disguise",
            "test_a_name_that_changes_its_mind_is_judged_again_with_every_connection",
            "test_what_is_no_public_web_address_is_refused",
        ),
        "tests/domain/providers/http/test_bytes_as_given.py": (
            "test_a_redirect_to_another_host_is_refused",
        ),
    },
    "G2": {
        "tests/domain/test_rotation.py": (
            "test_a_value_that_was_moved_is_named_and_left_as_it_is",
        ),
        "tests/domain/test_kernel.py": ("test_a_sealed_value_opens_where_it_was_sealed",),
    },
    "G3": {
        "tests/domain/test_rotation.py": (
            "test_a_rotation_that_was_interrupted_is_taken_up",
            "test_a_key_that_was_taken_away_too_early_is_missed",
        ),
    },
    "G4": {
        "tests/domain/providers/test_oneroster_csv_package.py": (
            "test_a_bomb_is_refused_while_it_is_inflated",
            "test_entries_that_share_their_bytes_are_refused",
            "test_a_link_in_a_zip_is_refused",
            "test_a_huge_directory_of_a_zip_is_not_even_loaded",
        ),
        "tests/domain/providers/test_oneroster_csv_files.py": (
            "test_a_line_over_the_limit_is_refused",
            "test_more_than_200_columns_are_refused",
        ),
        "tests/domain/providers/http/test_bodies.py": (
            "test_a_packed_body_that_unpacks_to_far_more_costs_no_more_than_the_limit",
        ),
    },
    "G5": {
        "tests/domain/files/test_sheets.py": (
            "test_what_would_be_a_formula_is_shown_as_text",
            "test_no_part_of_a_line_begins_a_formula_whatever_separates_cells",
        ),
    },
    "G6": {
        "tests/api/signing_in/test_sso_returns.py": ("test_nothing_secret_is_logged",),
        "tests/domain/providers/http/test_client.py": (
            "test_the_log_has_no_query_no_header_and_no_body",
        ),
    },
    "G7": {
        "tests/api/graphql/test_legacy.py": (
            "test_a_ticket_is_good_for_one_file",
            "test_a_file_that_is_too_large_or_wrapped_is_refused",
            "test_another_tenants_token_can_neither_ask_nor_name_an_upload",
        ),
    },
    "H2": {
        "tests/domain/sync/test_requests.py": ("test_two_requests_at_once_are_one_run",),
    },
    "H3": {
        "tests/worker/test_chaos.py": ("test_a_killed_postgres_loses_nothing_but_time",),
        "tests/api/graphql/test_throttling.py": ("test_without_valkey_queries_are_answered",),
        "tests/api/signing_in/test_sso_switches.py": (
            "test_without_valkey_nobody_is_sent_away_or_let_in",
        ),
        "tests/api/graphql/test_http.py": ("test_a_request_that_takes_too_long_is_ended",),
    },
    "H4": {
        "tests/worker/test_chaos.py": (
            "test_a_killed_worker_leaves_a_run_that_another_finishes",
            "test_a_stopped_worker_is_overtaken_and_does_no_harm_when_it_wakes",
        ),
    },
    "H5": {
        "tests/api/signing_in/test_sso_faults.py": (
            "test_a_clock_that_is_a_little_off_does_no_harm",
        ),
        "tests/api/signing_in/test_sso_id_tokens.py": (
            "test_a_clock_that_is_a_minute_off_and_a_list_of_audiences_are_taken",
        ),
    },
    "H6": {
        "tests/domain/test_throttle.py": (
            "test_scripts_are_sent_again_to_a_valkey_that_forgot_them",
        ),
    },
}
"""By case and file: the tests that hold it, or the part of it that this folder does not try."""
