//! Helps with words that are not ours: the nearest one that is, or what keepalived's word has become.

/// A mend for an unknown word, given those that are known at its place.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    if let Some((_, mend)) = KEEPALIVED.iter().find(|(theirs, _)| *theirs == word) {
        return format!("keepalived's `{word}` is {mend}");
    }
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "take it out: nothing belongs here".into(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known word that differs in fewest letters, if that is few enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|near| (distance(word, near), *near))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| near)
}

/// Letters to insert, delete, replace or swap with the next; of long words only the beginning counts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(40).collect(), b.chars().take(40).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// What an administrator may still have in the fingers.
const KEEPALIVED: &[(&str, &str)] = &[
    ("advert_int", "`advert-interval \"1s\"` here"),
    ("auth_hmac", "`auth hmac { key 1 file=\"…\" }` here"),
    ("auth_pass", "`auth pass=\"…\"` here"),
    ("auth_type", "not needed here: `auth pass=\"…\"` is type PASS"),
    ("authentication", "`auth pass=\"…\"` here"),
    ("brd", "`broadcast=\"…\"` here"),
    ("down_timer_adverts", "`down-timer-adverts` here"),
    ("garp_interval", "`garp interval=\"…\"` here"),
    ("garp_lower_prio_delay", "`garp lower-priority-delay=\"…\"` here"),
    ("garp_lower_prio_repeat", "`garp lower-priority-repeat=…` here"),
    ("garp_master_delay", "`garp delay=\"…\"` here"),
    ("garp_master_refresh", "`garp refresh=\"…\"` here"),
    ("garp_master_refresh_repeat", "`garp refresh-repeat=…` here"),
    ("garp_master_repeat", "`garp repeat=…` here"),
    ("global_defs", "not needed here: write `node \"…\"` at the top"),
    ("no_accept", "`accept #false` here"),
    ("nopreempt", "`preempt #false` here"),
    ("notify_backup", "a `notify` block with `on \"backup\"` here"),
    ("notify_fault", "a `notify` block with `on \"fault\"` here"),
    ("notify_master", "a `notify` block with `on \"master\"` here"),
    ("notify_stop", "a `notify` block with `on \"stopped\"` here"),
    ("preempt_delay", "`preempt #true delay=\"…\"` here"),
    ("preferred_lft", "`preferred=\"…\"` here"),
    ("router_id", "`node \"…\"` here"),
    ("script", "`plugin \"…\"` here: checks are WebAssembly components"),
    ("state", "not needed here: the priority alone decides who begins"),
    ("src_ip", "`source=` here"),
    ("startup_delay", "`startup-delay \"…\"` here"),
    ("track_interface", "`track { interface \"…\" }` here"),
    ("track_script", "`track { check \"…\" }` here"),
    (
        "track_process",
        "`track { check \"…\" }` here, with the plugin `process`",
    ),
    ("unicast_peer", "`unicast { peer \"…\" }` here"),
    ("unicast_src_ip", "`unicast source=\"…\"` here"),
    ("unicast_ttl", "`unicast ttl=…` here"),
    ("use_vmac", "`virtual-mac #true` here"),
    ("virtual_ipaddress", "`virtual-address \"…\"` here"),
    (
        "virtual_ipaddress_excluded",
        "`virtual-address-excluded \"…\"` here",
    ),
    ("virtual_router_id", "`virtual-router-id` here"),
    ("virtual_routes", "`virtual-route \"…\"` here"),
    ("virtual_rules", "`virtual-rule` here"),
    ("vrrp_instance", "`vrrp \"…\"` here"),
    ("vrrp_script", "`check \"…\"` here"),
    ("vrrp_startup_delay", "`startup-delay \"…\"` here, in each `vrrp`"),
    ("vrrp_sync_group", "`sync-group \"…\"` here"),
];

/// A text cut to what fits in a message.
pub(crate) fn short(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(39).chain(['…']).collect()
    }
}
