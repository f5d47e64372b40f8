#include "service/space_watch.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr Duration look_again = std::chrono::seconds(1);
constexpr std::uint64_t least_reserve_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t most_reserve_bytes = std::uint64_t{1} << 30;
constexpr std::string_view file_scheme = "file://";
constexpr const char* what_to_do =
    "free some: 'holdfast forget' and then 'holdfast prune' give back what no snapshot needs that is kept; "
    "or "
    "store elsewhere. Nothing that was committed is harmed, and the next backup goes on where this one ended";

Error too_little(const SpaceLeft& space) {
    return {ErrorCode::no_space,
            fmt::format("{} MiB are free on the disk of {}, and {} MiB are to stay free",
                        space.free_bytes >> 20, space.place, space.reserve_bytes() >> 20),
            what_to_do};
}

} // namespace

std::uint64_t SpaceLeft::reserve_bytes() const {
    return std::clamp(capacity_bytes / 100, least_reserve_bytes, most_reserve_bytes);
}

std::optional<SpaceLeft> space_at(const std::string& directory) {
    std::error_code error;
    fs::path place = fs::absolute(directory, error);
    while (!error && !fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
    const fs::space_info space = fs::space(place, error);
    if (error) return std::nullopt;
    // Some file systems say nothing of their size.
    if (space.capacity == 0) return std::nullopt;
    return SpaceLeft{directory, space.available, space.capacity};
}

std::optional<SpaceLeft> space_of_repository(std::string_view url) {
    if (!url.starts_with(file_scheme)) return std::nullopt;
    return space_at(std::string(url.substr(file_scheme.size())));
}

SpaceWatch::SpaceWatch(Ask ask, std::stop_token parent)
    : ask_(std::move(ask)), forward_(std::move(parent), Forward{&stop_}) {
    const std::optional<SpaceLeft> now = ask_();
    if (!now) return;
    if (now->is_short()) throw too_little(*now);
    thread_ = std::jthread([this](const std::stop_token& end) { watch(end); });
}

void SpaceWatch::watch(const std::stop_token& end) {
    while (system_clock().sleep_for(look_again, end)) {
        const std::optional<SpaceLeft> now = ask_();
        if (!now || !now->is_short()) continue;
        short_ = true;
        stop_.request_stop();
        return;
    }
}

Error SpaceWatch::explain(const Error& error) const {
    if (error.code() == ErrorCode::cancelled && short_) {
        if (const std::optional<SpaceLeft> now = ask_()) return too_little(*now);
    }
    if (error.code() == ErrorCode::no_space) return {error.code(), error.message(), what_to_do};
    return error;
}

} // namespace holdfast
