// Check NAME: `value` is at most `limit`.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_plugin.h"

// The host frees what it is handed, so each text is a copy on the heap.
static void say(check_plugin_string_t *to, const char *format, ...) {
    char text[512];
    va_list words;
    va_start(words, format);
    vsnprintf(text, sizeof text, format, words);
    va_end(words);
    check_plugin_string_dup(to, text);
}

static bool number(char *key, long long *value, exports_standfast_plugin_check_failure_t *failure) {
    check_plugin_string_t name, found;
    check_plugin_string_set(&name, key);
    bool good = false;
    if (standfast_plugin_config_get(&name, &found)) {
        char text[32], *end;
        int length = snprintf(text, sizeof text, "%.*s", (int)found.len, (char *)found.ptr);
        check_plugin_string_free(&found);
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
        verdict->status = STANDFAST_PLUGIN_TYPES_STATUS_FAIL;
    }
    say(&verdict->message, "value %lld, limit %lld", value, limit);
    return true;
}
