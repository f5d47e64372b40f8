// postgres_soak [--seconds N] [--seed S] [--version V]: see README.md.
#include "base/error.h"
#include "soak/soak.h"

#include <charconv>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace {

using namespace holdfast;
using namespace holdfast::soak;

std::optional<SoakSettings> parse(int count, char** arguments) {
    SoakSettings settings;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view name = arguments[i], text = arguments[i + 1];
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
        if (name == "--seconds")
            settings.duration = std::chrono::seconds(value);
        else if (name == "--seed")
            settings.seed = value;
        else if (name == "--version")
            settings.version = static_cast<int>(value);
        else
            return std::nullopt;
    }
    return count % 2 == 1 ? std::optional(settings) : std::nullopt;
}

} // namespace

int main(int count, char** arguments) {
    // A server that is killed while it is written to is an error of that session, and not our end.
    std::signal(SIGPIPE, SIG_IGN);
    const std::optional<SoakSettings> settings = parse(count, arguments);
    if (!settings) {
        fmt::print(stderr, "usage: postgres_soak [--seconds N] [--seed S] [--version V]\n");
        return 2;
    }
    Soak soak(*settings);
    std::string trouble;
    try {
        soak.run();
    } catch (const Error& error) {
        trouble = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    const SoakCounts& counts = soak.counts();
    fmt::print("{} transactions acknowledged; {} recoveries to the latest, in which {} were looked for\n",
               counts.acknowledged, counts.recoveries, counts.checked);
    for (const auto& [what, times] : counts.events) fmt::print("  {} {} times\n", what, times);
    for (const auto& [why, times] : counts.reasons) fmt::print("  {} x {}\n", times, why);
    if (!trouble.empty()) {
        fmt::print("FAILED (seed {}): {}\n", settings->seed, trouble);
        return 1;
    }
    fmt::print("nothing was lost\n");
    return 0;
}
