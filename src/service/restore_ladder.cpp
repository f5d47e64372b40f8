#include "service/restore_ladder.h"

#include "base/error.h"
#include "postgres/server/connection.h"
#include "service/run_command.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr Duration ask_again = std::chrono::milliseconds(250);

double seconds_since(Duration begin) {
    return std::chrono::duration<double>(system_clock().steady() - begin).count();
}

// Whether going on to the next step can help.
bool is_final(const Error& error) {
    return error.code() == ErrorCode::usage || error.code() == ErrorCode::cancelled ||
           error.code() == ErrorCode::access_denied;
}

class Ladder {
  public:
    Ladder(Repository& repository, const PostgresRestore& what, const LadderSettings& settings,
           Progress& progress, const std::function<void(const LadderStep&)>& told, std::stop_token stop)
        : repository_(repository),
          what_(what),
          settings_(settings),
          progress_(progress),
          told_(told),
          stop_(std::move(stop)) {}

    LadderResult climb() {
        // What is there later was written by a step before, which goes on with it in place.
        postgres::require_place(what_.target, what_.in_place);
        if (!settings_.restart_command.empty() && step("restart", [&] { restart(); })) {
            result_.restarted = true;
            return std::move(result_);
        }
        first_ = nullptr; // why a restore failed says more
        const auto restored = [&](const PostgresRestore& request) {
            result_.restored = restore_postgres(repository_, request, progress_, stop_);
        };
        if (step(fmt::format("recover to {}", postgres::describe(what_.request.target)),
                 [&] { restored(what_); }))
            return std::move(result_);
        if (const auto end = end_before_a_gap()) {
            PostgresRestore request = what_;
            request.request.target = postgres::RecoverToLsn{*end};
            request.in_place = what_.in_place || is_there(what_.target);
            if (step(fmt::format("recover to {}, where the log breaks off", end->str()),
                     [&] { restored(request); }))
                return std::move(result_);
        }
        for (const Snapshot& snapshot : snapshots()) {
            PostgresRestore request = what_;
            request.request.target = postgres::RecoverToConsistency{};
            request.request.snapshot = snapshot.id;
            request.request.timeline.reset();
            request.in_place = what_.in_place || is_there(what_.target);
            if (step(fmt::format("snapshot {} of {}", snapshot.id.hex(), to_rfc3339(snapshot.end)),
                     [&] { restored(request); }))
                return std::move(result_);
        }
        std::rethrow_exception(first_);
    }

  private:
    template <typename Body>
    bool step(std::string what, Body body) {
        const Duration begin = system_clock().steady();
        LadderStep done{std::move(what), {}, 0};
        try {
            body();
        } catch (const Error& error) {
            if (is_final(error)) throw;
            if (!first_) first_ = std::current_exception();
            done.why_not = error.message();
        }
        done.seconds = seconds_since(begin);
        result_.steps.push_back(done);
        if (told_) told_(done);
        return done.why_not.empty();
    }

    void restart() const {
        const int code = run_shell_command(settings_.restart_command, {}, stop_);
        if (code != 0) throw Error(ErrorCode::unavailable, fmt::format("the command ended with {}", code));
        const Duration begin = system_clock().steady();
        for (;;) {
            try {
                postgres::Connection connection({.conninfo = settings_.connection}, stop_);
                connection.query_value("SELECT 1", {}, stop_);
                return;
            } catch (const Error& error) {
                if (is_final(error) && error.code() != ErrorCode::access_denied) throw;
                if (system_clock().steady() - begin > settings_.patience)
                    throw Error(ErrorCode::unavailable,
                                fmt::format("the server does not answer: {}", error.message()));
            }
            if (!system_clock().sleep_for(ask_again, stop_))
                throw Error(ErrorCode::cancelled, "stopped before it was done");
        }
    }

    static bool is_there(const std::string& directory) {
        std::error_code error;
        return std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error);
    }

    // Of the newest stretch of log that a snapshot leads into, when the end of all log was asked for.
    std::optional<postgres::Lsn> end_before_a_gap() const {
        if (!std::holds_alternative<postgres::RecoverToEnd>(what_.request.target)) return std::nullopt;
        const postgres::RecoverySource source = postgres::load_recovery_source(
            repository_, what_.source, what_.request.snapshot, {.stop = stop_});
        const postgres::RecoveryWindow window = recovery_window(source, what_.request.branches);
        if (window.ranges.empty()) return std::nullopt;
        const postgres::TimelineId newest = window.ranges.front().timeline;
        const auto behind =
            std::ranges::find_if(window.ranges, [&](const auto& range) { return range.timeline != newest; });
        return std::prev(behind)->end;
    }

    // Whether all of a snapshot is from before the target: what came later is not to come back. Where a
    // transaction or a restore point that was not found would be, nobody knows.
    bool is_before_target(const Snapshot& snapshot) const {
        const postgres::RecoveryTarget& target = what_.request.target;
        if (const auto* time = std::get_if<postgres::RecoverToTime>(&target))
            return snapshot.end <= time->time;
        if (const auto* lsn = std::get_if<postgres::RecoverToLsn>(&target))
            return postgres::Lsn{snapshot.log->range.end} <= lsn->position;
        return std::holds_alternative<postgres::RecoverToEnd>(target);
    }

    // Newest first, whole ones before those that are not.
    std::vector<Snapshot> snapshots() const {
        std::vector<Snapshot> all = list_snapshots(repository_.context()).snapshots;
        const auto chosen = std::ranges::find_if(
            all, [&](const Snapshot& snapshot) { return snapshot.id == what_.request.snapshot; });
        const std::optional<Snapshot> latest = chosen == all.end() ? std::nullopt : std::optional(*chosen);
        const bool as_it_was = std::holds_alternative<postgres::RecoverToConsistency>(what_.request.target);
        std::erase_if(all, [&](const Snapshot& snapshot) {
            return snapshot.source != what_.source || snapshot.kind != postgres::snapshot_kind ||
                   !snapshot.log ||
                   !(as_it_was ? latest && !newer(snapshot, *latest) : is_before_target(snapshot));
        });
        std::ranges::sort(all, [](const Snapshot& a, const Snapshot& b) {
            const bool whole_a = a.state == SnapshotState::complete,
                       whole_b = b.state == SnapshotState::complete;
            return whole_a != whole_b ? whole_a : newer(a, b);
        });
        all.resize(std::min(all.size(), settings_.snapshots));
        return all;
    }

    Repository& repository_;
    const PostgresRestore& what_;
    const LadderSettings& settings_;
    Progress& progress_;
    const std::function<void(const LadderStep&)>& told_;
    const std::stop_token stop_;
    LadderResult result_;
    std::exception_ptr first_;
};

} // namespace

LadderResult restore_by_ladder(Repository& repository, const PostgresRestore& what,
                               const LadderSettings& settings, Progress& progress,
                               const std::function<void(const LadderStep&)>& told, std::stop_token stop) {
    return Ladder(repository, what, settings, progress, told, std::move(stop)).climb();
}

} // namespace holdfast
