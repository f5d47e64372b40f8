#include "postgres/receive/log_server.h"

#include "base/error.h"
#include "postgres/server/row.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

ConnectionSettings connection_to(const LogServerSettings& settings) {
    ConnectionSettings connection;
    connection.conninfo = settings.conninfo;
    connection.application_name = settings.application_name;
    return connection;
}

// Only the stream counts in synchronous_standby_names, but two sessions of one name would confuse people.
ConnectionSettings for_questions(const LogServerSettings& settings) {
    ConnectionSettings connection = connection_to(settings);
    connection.application_name += " questions";
    return connection;
}

std::uint64_t ask_segment_bytes(Connection& sql, const std::stop_token& stop) {
    const QueryResult result =
        sql.query("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", {}, stop);
    return only_row(result).number<std::uint64_t>("setting");
}

} // namespace

LogServer::LogServer(const LogServerSettings& settings, std::stop_token stop, Logger& logger)
    : stop_(std::move(stop)),
      sql_(for_questions(settings), stop_, logger),
      replication_(connection_to(settings), stop_, logger) {
    segment_bytes_ = ask_segment_bytes(sql_, stop_);
    identity_ = replication_.identify(stop_);
    see_to_slot(settings, logger);
}

void LogServer::see_to_slot(const LogServerSettings& settings, Logger& logger) {
    const std::string& name = settings.slot;
    std::optional<SlotFacts> slot = read_slot(sql_, name, stop_);
    if (slot && !slot->physical) {
        throw Error(ErrorCode::usage,
                    fmt::format("{}: the replication slot {} is a logical one", place(), name),
                    "name another slot: --slot, or slot below [source.…] in holdfast.toml");
    }
    if (slot && slot->lost() && settings.create_slot) {
        logger.warning("the replication slot lost its log and is made anew", {{"slot", name}});
        drop_slot(sql_, name, stop_);
        slot.reset();
    }
    if (slot && slot->lost()) {
        throw Error(ErrorCode::not_found,
                    fmt::format("{}: the replication slot {} lost its log: the server removed it because of "
                                "max_slot_wal_keep_size",
                                place(), name),
                    "--create-slot makes it anew; then make a new snapshot, because log is missing");
    }
    if (!slot && settings.create_slot) {
        create_slot(sql_, name, stop_);
        logger.info("the replication slot was made", {{"slot", name}});
        slot = read_slot(sql_, name, stop_);
    }
    if (!slot) {
        throw Error(ErrorCode::not_found, fmt::format("{}: there is no replication slot {}", place(), name),
                    "--create-slot makes it, and so does 'holdfast setup postgresql'");
    }
    slot_ = *slot;
}

TimelineHistory LogServer::history(TimelineId timeline) {
    if (timeline == 1) return TimelineHistory(1);
    const std::optional<std::string> text = replication_.timeline_history(timeline, stop_);
    if (text) return TimelineHistory::parse(timeline, *text);
    throw Error(ErrorCode::not_found,
                fmt::format("{}: the server has no history file of timeline {}", place(), timeline),
                "put it back into pg_wal from the archive or another server", true);
}

WalPosition LogServer::first_place() {
    const Lsn from = slot_.restart.value_or(identity_.position);
    const TimelineHistory theirs = history(identity_.timeline);
    return {theirs.timeline_at(from), segment_begin(from, segment_bytes_)};
}

std::optional<WalPosition> LogServer::oldest_behind(WalPosition position) {
    WalPosition oldest{identity_.timeline, segment_begin(identity_.position, segment_bytes_)};
    try {
        const QueryResult names = sql_.query(
            "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' ORDER BY name", {}, stop_);
        for (std::size_t i = 0; i < names.rows.size(); ++i) {
            const auto start = parse_segment_name(Row(names, i).text("name"), segment_bytes_);
            if (!start) continue;
            const WalPosition segment{start->timeline, start->begin};
            if (segment.timeline == oldest.timeline && segment > position) oldest = std::min(oldest, segment);
        }
    } catch (const ServerError& error) {
        if (error.code() != ErrorCode::access_denied) throw;
    }
    return oldest > position ? std::optional(oldest) : std::nullopt;
}

NextPlace place_in(const TimelineHistory& theirs, const TimelineHistory& ours, WalPosition at,
                   std::uint64_t segment_bytes) {
    const auto fork = theirs.fork_from(ours);
    if (!fork) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("the server's timeline {} and timeline {}, which was received, have nothing in "
                        "common",
                        theirs.timeline(), ours.timeline()),
            "see whether it is the right server");
    }
    if (const auto part = theirs.part_of(at.timeline);
        part && fork->timeline == at.timeline && (!part->end || at.lsn <= *part->end))
        return {at, std::nullopt};
    if (theirs.timeline() < ours.timeline()) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("the server is on timeline {}, but the log was received up to timeline {}",
                        theirs.timeline(), ours.timeline()),
            "it is a standby that has not followed yet, or a primary that was left: name the one that "
            "is in use",
            true);
    }
    const Lsn parted = fork->end.value_or(at.lsn);
    TimelineId next = theirs.timeline();
    for (const TimelineHistory::Ancestor& ancestor : theirs.ancestors()) {
        if (ancestor.timeline <= fork->timeline) continue;
        next = ancestor.timeline;
        break;
    }
    if (next <= at.timeline)
        throw Error(
            ErrorCode::unavailable,
            fmt::format("the server's timeline {} left the one that was received before timeline {}",
                        theirs.timeline(), at.timeline),
            "two servers were promoted from one: name the one that is in use, and give it a source of "
            "its own",
            true);
    return {{next, segment_begin(parted, segment_bytes)}, parted};
}

} // namespace holdfast::postgres
