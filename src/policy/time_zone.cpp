#include "policy/time_zone.h"

#include "base/error.h"

#include <date/tz.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr const char* no_database_hint = "install the package tzdata, or write times in UTC";

date::local_seconds of_library(LocalTime local) { return date::local_seconds(local.time_since_epoch()); }

} // namespace

TimeZone TimeZone::named(std::string_view name) {
    try {
        const date::time_zone* zone = date::locate_zone(std::string(name));
        return {std::string(name), zone};
    } catch (const std::runtime_error& error) {
        throw Error(ErrorCode::usage, fmt::format("'{}' is no time zone here: {}", name, error.what()),
                    name == "UTC" ? no_database_hint : "write it as Europe/Berlin or UTC");
    }
}

LocalTime TimeZone::local(Timestamp time) const {
    const auto local = zone_->to_local(std::chrono::floor<std::chrono::seconds>(time));
    return LocalTime(local.time_since_epoch());
}

std::vector<Timestamp> TimeZone::instants(LocalTime local) const {
    const date::local_info info = zone_->get_info(of_library(local));
    const auto at = [&](const date::sys_info& offset) {
        return Timestamp(local.time_since_epoch() - offset.offset);
    };
    switch (info.result) {
    case date::local_info::unique:
        return {at(info.first)};
    case date::local_info::ambiguous:
        return {at(info.first), at(info.second)};
    default:
        return {};
    }
}

Timestamp TimeZone::first_at_or_after(LocalTime local) const {
    const date::local_info info = zone_->get_info(of_library(local));
    // In a gap, `first` ends where the clock jumps.
    if (info.result == date::local_info::nonexistent) return info.first.end;
    return Timestamp(local.time_since_epoch() - info.first.offset);
}

} // namespace holdfast
