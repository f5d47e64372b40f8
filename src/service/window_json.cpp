#include "service/window_json.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

nlohmann::json time_json(const std::optional<Timestamp>& time) {
    return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

nlohmann::json id_json(const std::optional<RunId>& id) {
    return id ? nlohmann::json(id->hex()) : nlohmann::json();
}

nlohmann::json range_json(const postgres::RecoverableRange& range) {
    nlohmann::json snapshots = nlohmann::json::array();
    for (const RunId& id : range.snapshots) snapshots.push_back(id.hex());
    return {{"timeline", range.timeline},       {"from", to_rfc3339(range.from)},
            {"until", to_rfc3339(range.until)}, {"begin_lsn", range.begin.str()},
            {"end_lsn", range.end.str()},       {"snapshots", snapshots}};
}

nlohmann::json gap_json(const postgres::RecoveryGap& gap) {
    return {{"timeline", gap.timeline},        {"begin_lsn", gap.begin.str()},
            {"end_lsn", gap.end.str()},        {"after", time_json(gap.after)},
            {"before", time_json(gap.before)}, {"again_from", id_json(gap.again_from)}};
}

} // namespace

nlohmann::json to_json(const postgres::LogFork& fork) {
    nlohmann::json branches = nlohmann::json::array();
    for (const postgres::LogBranch& branch : fork.branches)
        branches.push_back({{"name", branch.name},
                            {"first_slice", branch.first.name()},
                            {"end_lsn", branch.end.str()},
                            {"last_commit", time_json(branch.last_commit)}});
    return {{"timeline", fork.timeline},
            {"lsn", fork.at.str()},
            {"decided", fork.decided},
            {"branches", branches},
            {"description", postgres::describe(fork)}};
}

nlohmann::json to_json(const postgres::RecoveryWindow& window) {
    nlohmann::json ranges = nlohmann::json::array(), gaps = nlohmann::json::array(),
                   released = nlohmann::json::array(), histories = nlohmann::json::array(),
                   unusable = nlohmann::json::array();
    for (const postgres::RecoverableRange& range : window.ranges) ranges.push_back(range_json(range));
    for (const postgres::RecoveryGap& gap : window.gaps) {
        gaps.push_back(gap_json(gap));
        gaps.back()["why"] = gap.why;
    }
    for (const postgres::RecoveryGap& gap : window.released) released.push_back(gap_json(gap));
    for (const postgres::MissingHistory& missing : window.missing_histories) {
        histories.push_back({{"timeline", missing.timeline},
                             {"begin_lsn", missing.begin.str()},
                             {"before", time_json(missing.before)},
                             {"again_from", id_json(missing.again_from)}});
    }
    for (const RunId& id : window.without_log) unusable.push_back(id.hex());
    nlohmann::json forks = nlohmann::json::array();
    for (const postgres::LogFork& fork : window.forks) forks.push_back(to_json(fork));
    return {{"ranges", ranges},
            {"forks", forks},
            {"gaps", gaps},
            {"released", released},
            {"missing_histories", histories},
            {"snapshots_without_log", unusable}};
}

void add_exposure(nlohmann::json& value, const Exposure& exposure, const std::optional<double>& seconds) {
    if (!exposure.known || !seconds) {
        value["exposure_unknown"] = exposure.unknown;
        return;
    }
    value["exposure"] = {{"bytes", exposure.known->bytes},
                         {"since", time_json(exposure.since)},
                         {"seconds", *seconds},
                         {"bound", exposure.bound}};
}

void add_receiver(nlohmann::json& value, const postgres::ReceiveState& receiver) {
    value["receiver"] = nlohmann::json::parse(postgres::to_json_text(receiver));
}

} // namespace holdfast
