//! The e2e tests: the real programs in network namespaces, each test in a world of its own.

mod checks;
mod cli;
mod failover;
mod hostile;
mod hotload;
mod interop;
mod nginx;

use std::process::ExitCode;

use standfast_lab::runner::{self, Test};

macro_rules! tests {
    ($($module:ident::$test:ident),* $(,)?) => {
        &[$(Test::new(concat!(stringify!($module), "::", stringify!($test)), $module::$test)),*]
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
    checks::maintenance_file_moves_the_vip_and_a_second_one_moves_it_back,
    checks::hostile_plugins_fail_with_their_class_and_move_nothing,
    checks::killed_worker_is_back_and_moves_nothing,
    hotload::replaced_plugin_answers_the_next_call,
    hotload::broken_plugin_changes_nothing_but_the_status,
    interop::v2_standfast_first,
    interop::v2_keepalived_first,
    interop::v3_standfast_first,
    interop::v3_keepalived_first,
    hostile::garbage_is_counted_and_moves_nothing,
    hostile::malformed_control_requests_get_an_error,
    hostile::config_errors_are_all_named,
    hostile::missing_config_file_is_one_clear_line,
    hostile::missing_interface_ends_with_6,
    hostile::missing_plugin_ends_with_6,
    hostile::second_copy_ends_with_5,
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
