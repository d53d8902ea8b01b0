//! The e2e tests: the real programs in network namespaces, each test in a world of its own.

mod actions;
mod announce;
mod around;
mod cage;
mod carry;
mod checks;
mod cli;
mod draining;
mod election;
mod events;
mod failover;
mod family;
mod faults;
mod guard;
mod guardian;
mod hmac;
mod hostile;
mod hotload;
mod interop;
mod leases;
mod malformed;
mod matrix;
mod moving;
mod nginx;
mod nginx_adopt;
mod nginx_death;
mod nginx_reload;
mod nginx_start;
mod nginx_stuck;
mod own_group;
mod peers;
mod process;
mod real_systemd;
mod reloads;
mod servers;
mod vmac;

use std::process::ExitCode;

use standfast_lab::runner::{self, Test};

macro_rules! tests {
    ($($module:ident::$test:ident $(within $seconds:literal)?),* $(,)?) => {
        &[$(Test::new(concat!(stringify!($module), "::", stringify!($test)), $module::$test)$(.limit($seconds))?),*]
    };
}

const TESTS: &[Test] = tests![
    interop::keepalived_pair_behaves_as_the_rfc_says,
    failover::stop_hands_over_after_skew_and_return_takes_it_back,
    failover::pulled_cable_moves_the_vip_after_master_down,
    failover::healed_cut_leaves_one_owner_within_an_interval,
    failover::vanished_node_costs_master_down,
    failover::returned_node_leaves_the_vip_with_preempt_off,
    failover::killed_daemon_is_replaced_and_cleans_up_when_it_returns,
    nginx::killed_nginx_is_restarted_in_place,
    nginx::killed_master_is_replaced_though_its_workers_live,
    nginx::hopeless_nginx_moves_the_vip_and_why_says_so,
    nginx::frozen_nginx_moves_the_vip,
    nginx::stop_takes_nginx_along,
    faults::clean_stop,
    faults::killed_worker_of_plugins,
    faults::killed_nginx_master,
    faults::stopped_nginx_master,
    faults::bad_nginx_file_at_reload,
    faults::invalid_file_at_reload,
    faults::removed_vip,
    nginx_death::killed_master_costs_no_request,
    nginx_death::masters_killed_in_a_row_cost_no_request,
    nginx_death::stopped_master_is_told_to_go_on,
    nginx_death::master_kept_stopped_is_replaced,
    nginx_death::stopped_workers_are_told_to_go_on,
    nginx_death::workers_kept_stopped_are_replaced,
    nginx_death::a_worker_kept_stopped_is_replaced_alone,
    nginx_death::nginx_without_workers_is_never_up,
    nginx_death::nginx_that_lost_its_workers_for_good_is_restarted,
    nginx_death::dying_workers_move_the_vip_and_it_comes_back within 150,
    nginx_death::workers_that_die_together_move_the_vip within 150,
    nginx_death::two_stops_from_outside_are_believed,
    nginx_reload::reloads_cost_no_request_and_name_the_new_workers,
    nginx_reload::reload_refuses_a_bad_file,
    nginx_reload::reload_that_cannot_be_applied_has_failed,
    nginx_reload::upgrade_costs_no_request,
    nginx_reload::upgrade_to_a_broken_program_leaves_the_old_one,
    nginx_reload::logs_are_reopened_by_the_pid_file,
    nginx_start::a_taken_port_names_its_owner,
    nginx_start::a_taken_port_cannot_be_held,
    nginx_start::a_missing_program_is_named,
    nginx_start::a_listen_at_an_absent_vip_says_how_to_mend_it,
    nginx_start::a_full_disk_is_named_and_passes,
    nginx_start::an_innocent_process_is_never_signalled,
    nginx_start::a_stop_names_its_rung,
    nginx_start::a_restart_waits_for_requests_under_way,
    nginx_start::nginx_has_no_socket_of_ours,
    nginx_start::daemon_on_in_the_file_does_no_harm,
    nginx_stuck::workers_without_descriptors_are_replaced,
    nginx_stuck::workers_that_get_descriptors_again_go_on,
    nginx_stuck::nginx_that_kill_does_not_end_is_never_doubled within 120,
    nginx_stuck::a_stop_of_what_cannot_end_waits_for_it within 120,
    nginx_stuck::orphans_that_hang_while_the_file_is_refused_lose_the_vip,
    nginx_stuck::headless_nginx_gives_way_though_nobody_preempts,
    nginx_adopt::nginx_outlives_our_daemon_and_is_adopted,
    nginx_adopt::nginx_of_somebody_else_is_adopted,
    nginx_adopt::an_adopted_nginx_that_dies_or_hangs_is_restarted,
    nginx_adopt::two_stops_of_an_adopted_nginx_are_believed,
    nginx_adopt::orphans_found_at_our_start_are_taken_over_from,
    nginx_adopt::held_listeners_refuse_nobody,
    nginx_adopt::held_listeners_are_held_again_after_our_death,
    nginx_adopt::held_listeners_are_closed_when_it_is_given_up,
    own_group::nginx_has_a_group_of_its_own_that_outlives_us,
    own_group::frozen_nginx_is_killed_by_its_group,
    own_group::what_left_its_process_group_ends_too,
    own_group::without_a_group_it_is_as_before,
    own_group::a_group_that_cannot_be_made_is_said_and_done_without,
    real_systemd::the_unit_starts_outlives_a_kill_and_stops,
    real_systemd::nginx_of_systemd_is_started_and_restarted_by_asking,
    real_systemd::with_fewer_rights_it_does_the_same,
    real_systemd::the_unit_is_exposed_no_more_than_is_said,
    process::a_program_with_a_page_is_kept_alive,
    process::it_is_stopped_and_reloaded_by_its_signals,
    process::it_is_reloaded_by_its_command,
    process::it_is_ready_when_its_check_says_so,
    checks::maintenance_file_moves_the_vip_and_a_second_one_moves_it_back,
    checks::hostile_plugins_fail_with_their_class_and_move_nothing,
    checks::killed_worker_is_back_and_moves_nothing,
    cage::silent_worker_is_replaced_and_moves_nothing,
    cage::worker_is_caged,
    cage::interpreter_serves_where_nothing_may_become_code,
    cage::plugin_that_others_can_change_is_refused,
    cage::plugin_that_is_not_the_pinned_one_is_refused,
    moving::a_stop_costs_no_echo,
    moving::a_stop_costs_no_echo_beside_keepalived,
    moving::preemption_costs_no_echo,
    moving::a_router_handed_over_stays_away_until_it_is_told,
    moving::a_drained_node_stays_drained_over_a_restart,
    moving::what_nobody_takes_over_is_served_on,
    guardian::a_killed_brain_carries_on_unnoticed,
    guardian::a_stopped_brain_is_replaced,
    guardian::a_daemon_frozen_as_a_whole_is_not_stuck,
    guardian::a_brain_that_dies_always_is_said_goodbye_for within 120,
    guardian::a_killed_guardian_takes_the_brain_along,
    guardian::signals_and_codes_pass_through,
    reloads::a_hundred_reloads_touch_nothing within 120,
    carry::killed_master_carries_on_unnoticed,
    carry::spoilt_record_is_ignored,
    guard::a_second_owner_is_named_until_it_is_gone,
    guard::a_second_owner_that_comes_later_is_named_and_answered,
    guard::standfast_peers_that_move_the_vips_are_no_second_owners,
    guard::keepalived_peers_that_move_the_vips_are_no_second_owners,
    guard::routes_and_rules_deleted_by_others_are_put_back,
    guard::addresses_and_routes_survive_flush_flap_and_removal_of_the_interface,
    guard::settings_that_hide_the_vip_are_told,
    draining::connections_outlive_a_handover,
    draining::connections_outlive_a_handover_over_ipv6,
    draining::connections_outlive_a_move_there_and_back,
    draining::a_stop_drains_and_leaves_nothing,
    draining::nothing_is_left_of_killed_daemons,
    draining::beside_keepalived_nothing_is_held,
    draining::without_nft_the_move_happens_all_the_same,
    leases::a_frozen_master_loses_its_addresses_and_wakes_as_backup,
    leases::a_lone_master_takes_its_addresses_again_when_it_wakes,
    leases::without_a_lease_addresses_stay_and_a_reload_gives_them_one,
    leases::two_hundred_addresses_are_renewed_until_the_daemon_is_killed,
    hotload::replaced_plugin_answers_the_next_call,
    hotload::whatever_becomes_of_a_file_the_old_one_serves_and_status_says_why,
    hotload::plugins_that_appear_later_are_taken,
    hotload::grants_come_and_go_with_a_reload,
    hotload::rollback_serves_the_version_before,
    actions::commands_decide_as_the_user_of_their_block,
    actions::commands_that_take_too_long_fail_and_leave_nothing,
    actions::commands_without_a_grant_never_run_and_the_log_says_what_to_write,
    actions::hooks_run_commands_with_the_words_of_the_event,
    actions::hooks_repeat_a_command_that_failed_with_the_same_number,
    servers::stopped_workers_of_nginx_fail_by_http_and_pass_by_tcp,
    servers::killed_redis_is_down_and_back_again,
    interop::v2_standfast_first,
    interop::v2_keepalived_first,
    interop::v3_standfast_first,
    interop::v3_keepalived_first,
    matrix::every_cast_moves_with_keepalived,
    matrix::every_cast_moves_between_two_standfast,
    matrix::every_version_moves_with_frr,
    peers::passwords_and_seconds_of_version_2,
    peers::intervals_of_version_3_are_adopted,
    peers::address_lists_that_differ_are_accepted_and_said,
    peers::both_checksum_forms_are_read_and_answered,
    election::ties_are_decided_by_address,
    election::the_higher_address_wins_the_tie,
    election::two_owners_resolve_by_address,
    election::preemption_is_off_or_delayed,
    election::down_timer_counts_the_adverts_it_was_told,
    election::frr_ties_preempt_off_and_ten_milliseconds,
    events::frozen_masters_are_replaced_and_come_back_in_peace,
    events::flapping_links_end_in_one_master,
    events::one_way_loss_is_named_and_heals,
    events::deleted_addresses_come_back,
    events::weights_move_the_vip_there_and_back,
    announce::announcements_come_in_two_blocks,
    announce::a_node_back_from_fault_tells_unicast_peers_its_source,
    announce::worse_masters_are_answered_by_version_3_only,
    family::clients_reach_ipv6_addresses_wherever_they_are,
    family::strangers_are_rejected_by_unicast_routers,
    family::accept_off_drops_packets_but_answers_neighbours,
    vmac::adverts_and_answers_come_from_the_virtual_mac,
    vmac::the_virtual_mac_moves_and_leaves_nothing_behind,
    vmac::killed_daemons_come_back_mute,
    vmac::keepalived_with_virtual_macs_is_a_peer,
    around::sync_group_moves_as_one,
    around::sync_group_of_policy_all_leaves_the_healthy_one,
    around::interfaces_come_and_go,
    around::routes_and_rules_follow_the_master,
    around::routes_of_an_earlier_life_give_way,
    around::renamed_interface_keeps_nothing_of_ours,
    around::startup_delay_holds_back_the_election,
    around::nothing_stays_of_a_killed_daemon_with_another_file,
    hmac::equal_keys_make_one_master_and_none_is_rejected,
    hmac::keys_are_rolled_out_without_a_second_master,
    malformed::every_malformed_advert_moves_a_counter_and_nothing_else,
    malformed::floods_and_spoofs_end_with_the_sender,
    malformed::many_strangers_fill_a_bounded_table,
    hostile::garbage_is_counted_and_moves_nothing,
    hostile::malformed_control_requests_get_an_error,
    hostile::config_errors_are_all_named,
    hostile::missing_config_file_is_one_clear_line,
    hostile::missing_interface_is_waited_for,
    hostile::missing_plugin_ends_with_6,
    hostile::second_copy_ends_with_5,
    hostile::a_strangers_lock_keeps_nobody_from_starting,
    hostile::a_start_that_fails_leaves_no_addresses_of_a_killed_daemon,
    hostile::lacking_rights_end_with_4,
    cli::status_says_healthy_degraded_and_not_running,
    cli::why_and_events_tell_every_move,
    cli::events_follow_as_they_come,
    cli::reload_applies_the_difference_or_nothing,
    cli::reload_to_another_interface_releases_the_old_one,
    cli::service_reload_refuses_a_bad_file,
    cli::validate_prints_derived_numbers_without_rights,
    cli::deleted_vip_is_restored,
];

fn main() -> ExitCode {
    runner::main(TESTS)
}
