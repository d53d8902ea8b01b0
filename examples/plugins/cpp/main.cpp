// Check: `value` is at most `limit`. Hook: a line for each event.

#include <charconv>

#include "plugin_cpp.h"

using namespace standfast::plugin;

namespace {

wit::string text(const std::string &text) { return wit::string::from_view(text); }

std::expected<int64_t, types::Failure> number(std::string key) {
    auto found = config::Get(key);
    auto digits = found ? found->to_string() : std::string();
    const char *end = digits.data() + digits.size();
    int64_t number = 0;
    auto read = std::from_chars(digits.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) {
        return number;
    }
    auto why = "`" + key + "` must be a whole number; write: " + key + " 10";
    return std::unexpected(types::Failure{types::Failure::Config{text(why)}});
}

}  // namespace

namespace exports::standfast::plugin {

std::expected<types::Verdict, types::Failure> check::Run() {
    auto value = number("value");
    auto limit = number("limit");
    if (!value || !limit) {
        return std::unexpected(std::move(value ? limit.error() : value.error()));
    }
    auto status = types::Status::kPass;
    if (*value > *limit) {
        auto line = "value " + std::to_string(*value) + " is over limit " + std::to_string(*limit);
        log::Write(log::Level::kWarn, line, {});
        status = types::Status::kFail;
    }
    auto message = "value " + std::to_string(*value) + ", limit " + std::to_string(*limit);
    return types::Verdict{status, text(message), std::nullopt, std::nullopt};
}

std::expected<void, types::Failure> notify::Handle(Event event) {
    static const char *const STATES[] = {"INIT", "BACKUP", "MASTER", "FAULT", "STOPPED"};
    std::string subject = "daemon";
    std::visit(
        [&](auto &of) {
            if constexpr (requires { of.value; }) {
                subject = of.value.to_string();
            }
        },
        event.subject.variants);
    log::Write(log::Level::kInfo, subject + " is " + STATES[static_cast<int>(event.now)], {});
    return {};
}

}  // namespace exports::standfast::plugin
