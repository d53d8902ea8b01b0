// Check: `value` is at most `limit`. Hook: a line for each event.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

// The host frees what it is handed, so each text is a copy on the heap.
static void say(plugin_string_t *to, const char *format, ...) {
    char text[512];
    va_list words;
    va_start(words, format);
    vsnprintf(text, sizeof text, format, words);
    va_end(words);
    plugin_string_dup(to, text);
}

static void log_line(standfast_plugin_log_level_t level, plugin_string_t *message) {
    standfast_plugin_log_attrs_t none = {0};
    standfast_plugin_log_write(level, message, &none);
    plugin_string_free(message);
}

static bool number(char *key, long long *value, exports_standfast_plugin_check_failure_t *failure) {
    plugin_string_t name, found;
    plugin_string_set(&name, key);
    bool good = false;
    if (standfast_plugin_config_get(&name, &found)) {
        char text[32], *end;
        int length = snprintf(text, sizeof text, "%.*s", (int)found.len, (char *)found.ptr);
        plugin_string_free(&found);
        errno = 0;
        *value = strtoll(text, &end, 10);
        good = length > 0 && end == text + length && errno == 0;
    }
    if (!good) {
        failure->tag = STANDFAST_PLUGIN_TYPES_FAILURE_CONFIG;
        say(&failure->val.config, "`%s` must be a whole number; write: %s 10", key, key);
    }
    return good;
}

bool exports_standfast_plugin_check_run(exports_standfast_plugin_check_verdict_t *verdict,
                                        exports_standfast_plugin_check_failure_t *failure) {
    long long value, limit;
    if (!number("value", &value, failure) || !number("limit", &limit, failure)) {
        return false;
    }
    *verdict = (exports_standfast_plugin_check_verdict_t){.status = STANDFAST_PLUGIN_TYPES_STATUS_PASS};
    if (value > limit) {
        plugin_string_t line;
        say(&line, "value %lld is over limit %lld", value, limit);
        log_line(STANDFAST_PLUGIN_LOG_LEVEL_WARN, &line);
        verdict->status = STANDFAST_PLUGIN_TYPES_STATUS_FAIL;
    }
    say(&verdict->message, "value %lld, limit %lld", value, limit);
    return true;
}

bool exports_standfast_plugin_notify_handle(exports_standfast_plugin_notify_event_t *event,
                                            exports_standfast_plugin_notify_failure_t *failure) {
    static const char *const STATES[] = {"INIT", "BACKUP", "MASTER", "FAULT", "STOPPED"};
    plugin_string_t line, daemon;
    plugin_string_set(&daemon, "daemon");
    bool named = event->subject.tag != EXPORTS_STANDFAST_PLUGIN_NOTIFY_SUBJECT_DAEMON;
    plugin_string_t subject = named ? event->subject.val.instance : daemon;
    say(&line, "%.*s is %s", (int)subject.len, (char *)subject.ptr, STATES[event->now]);
    log_line(STANDFAST_PLUGIN_LOG_LEVEL_INFO, &line);
    exports_standfast_plugin_notify_event_free(event);
    (void)failure;
    return true;
}
