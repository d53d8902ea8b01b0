//! Virtual routing rules as requests to the kernel.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use nix::libc;
use standfast_core::config::route::VirtualRule;

use crate::net::route_message::OURS;
use crate::net::route_socket::Request;
use crate::net::routes::{family, small_table};

/// Adds a rule. One that is there already is fine.
pub(crate) fn add(rule: &VirtualRule) -> Request {
    Request {
        what: format!("rule {}", rule.priority),
        message: RouteNetlinkMessage::NewRule(message(rule)),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: &[libc::EEXIST],
    }
}

/// Removes it. One that is not there is fine.
pub(crate) fn remove(rule: &VirtualRule) -> Request {
    Request {
        what: format!("rule {}", rule.priority),
        message: RouteNetlinkMessage::DelRule(message(rule)),
        flags: 0,
        fine: &[libc::ENOENT, libc::ESRCH],
    }
}

fn message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = family(rule.family);
    header.action = RuleAction::ToTable;
    header.table = small_table(rule.table);
    header.src_len = rule.from.map_or(0, |(_, prefix)| prefix);
    header.dst_len = rule.to.map_or(0, |(_, prefix)| prefix);
    let narrow = |net: Option<(_, u8)>| net.filter(|(_, prefix)| *prefix > 0).map(|(net, _)| net);
    let attributes = &mut message.attributes;
    attributes.extend(narrow(rule.from).map(RuleAttribute::Source));
    attributes.extend(narrow(rule.to).map(RuleAttribute::Destination));
    let name = |name: &standfast_core::ids::IfName| name.as_str().to_owned();
    attributes.extend(rule.input.as_ref().map(name).map(RuleAttribute::Iifname));
    attributes.extend(rule.output.as_ref().map(name).map(RuleAttribute::Oifname));
    attributes.extend(rule.mark.map(RuleAttribute::FwMark));
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Table(rule.table));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(OURS)));
    message
}

#[cfg(test)]
mod tests {
    use standfast_core::ids::Family;

    use super::*;

    #[test]
    fn a_rule_says_who_it_is_for_and_whose_it_is() {
        let rule = VirtualRule {
            family: Family::V4,
            from: Some(([10, 0, 0, 0].into(), 8)),
            to: None,
            input: Some("eth1".parse().unwrap()),
            output: None,
            mark: Some(7),
            table: 100,
            priority: 1000,
        };
        let message = message(&rule);
        assert_eq!(
            (
                message.header.src_len,
                message.header.dst_len,
                message.header.table
            ),
            (8, 0, 100)
        );
        assert_eq!(
            message.attributes,
            [
                RuleAttribute::Source([10, 0, 0, 0].into()),
                RuleAttribute::Iifname("eth1".into()),
                RuleAttribute::FwMark(7),
                RuleAttribute::Priority(1000),
                RuleAttribute::Table(100),
                RuleAttribute::Protocol(RouteProtocol::Other(112)),
            ]
        );
    }
}
