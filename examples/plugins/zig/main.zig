//! Check: `value` is at most `limit`. Hook: a line for each event.

const std = @import("std");
const wit = @import("plugin.zig");

const Verdict = wit.exports_standfast_plugin_check_verdict_t;
const Failure = wit.exports_standfast_plugin_check_failure_t;
const Event = wit.exports_standfast_plugin_notify_event_t;

const states = [_][]const u8{ "INIT", "BACKUP", "MASTER", "FAULT", "STOPPED" };

export fn exports_standfast_plugin_check_run(verdict: *Verdict, failure: *Failure) bool {
    const value = number("value", failure) orelse return false;
    const limit = number("limit", failure) orelse return false;
    const good = value <= limit;
    if (!good) say(wit.STANDFAST_PLUGIN_LOG_LEVEL_WARN, text("value {d} is over limit {d}", .{ value, limit }));
    verdict.* = std.mem.zeroes(Verdict);
    verdict.status = if (good) wit.STANDFAST_PLUGIN_TYPES_STATUS_PASS else wit.STANDFAST_PLUGIN_TYPES_STATUS_FAIL;
    verdict.message = text("value {d}, limit {d}", .{ value, limit });
    return true;
}

export fn exports_standfast_plugin_notify_handle(event: *Event, _: *Failure) bool {
    const named = event.subject.tag != wit.EXPORTS_STANDFAST_PLUGIN_NOTIFY_SUBJECT_DAEMON;
    const subject = if (named) slice(event.subject.val.instance) else "daemon";
    say(wit.STANDFAST_PLUGIN_LOG_LEVEL_INFO, text("{s} is {s}", .{ subject, states[event.now] }));
    return true;
}

fn number(key: []const u8, failure: *Failure) ?i64 {
    var name = wit.plugin_string_t{ .ptr = @constCast(key.ptr), .len = key.len };
    var found: wit.plugin_string_t = undefined;
    if (wit.standfast_plugin_config_get(&name, &found)) {
        if (std.fmt.parseInt(i64, slice(found), 10)) |value| return value else |_| {}
    }
    failure.tag = wit.STANDFAST_PLUGIN_TYPES_FAILURE_CONFIG;
    failure.val.config = text("`{s}` must be a whole number; write: {s} 10", .{ key, key });
    return null;
}

fn say(level: u8, message: wit.plugin_string_t) void {
    var line = message;
    var none = std.mem.zeroes(wit.standfast_plugin_log_attrs_t);
    wit.standfast_plugin_log_write(level, &line, &none);
}

/// On the heap of C: the host's caller frees what an export returns.
fn text(comptime format: []const u8, words: anytype) wit.plugin_string_t {
    const line = std.fmt.allocPrint(std.heap.c_allocator, format, words) catch @panic("out of memory");
    return .{ .ptr = line.ptr, .len = line.len };
}

fn slice(string: wit.plugin_string_t) []const u8 {
    return string.ptr[0..string.len];
}
