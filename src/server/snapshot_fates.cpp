#include "server/snapshot_fates.h"

#include "base/error.h"

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

constexpr std::chrono::years horizon{10};
constexpr Duration good_for = std::chrono::hours(1);

// Whether rules decide alike about both, at any time.
bool are_alike(const RetentionSubject& a, const RetentionSubject& b) {
    const auto all = [](const RetentionSubject& one) {
        return std::tie(one.id, one.sequence, one.time, one.end, one.complete, one.damaged, one.restorable,
                        one.class_name, one.expires, one.holds, one.stretches);
    };
    return all(a) == all(b);
}

// What is still to be backed up counts as well, but not to the hour.
bool are_alike(const BackupPlan& a, const BackupPlan& b) {
    return a.name == b.name && a.class_name == b.class_name &&
           (a.keep ? a.keep->text() : "") == (b.keep ? b.keep->text() : "");
}

json without_fate(const char* why, const std::string& blocked) {
    return {{"policy", nullptr},
            {"goes", nullptr},
            {"reasons", json::array({why})},
            {"last_reasons", json::array()},
            {"blocked", blocked}};
}
constexpr const char* uncovered = "no policy covers its source";
constexpr const char* too_new = "it was made a moment ago: the next look at the repository tells";

} // namespace

bool SnapshotFates::is_news(const Known& known, const RetentionSource& source) {
    if (!known.source.policy) return true;
    const Policy &before = *known.source.policy, &now = *source.policy;
    const auto alike = [](const auto& a, const auto& b) { return are_alike(a, b); };
    return before.name != now.name || before.retention != now.retention ||
           !std::ranges::equal(before.backups, now.backups, alike) ||
           !std::ranges::equal(known.source.subjects, source.subjects, alike);
}

SnapshotFates::Fates SnapshotFates::of(const RetentionSource& source, Timestamp seen,
                                       const std::optional<Outlook>& outlook) {
    if (!source.policy) return nullptr;
    const Outlook wanted =
        outlook.value_or(Outlook{seen, seen + std::chrono::duration_cast<Duration>(horizon)});
    Kept& kept = outlook ? asked_ : known_;
    std::unique_lock lock(kept.mutex, std::defer_lock);
    if (!outlook) {
        lock.lock();
    } else if (!lock.try_lock()) {
        throw Error(ErrorCode::unavailable, "another outlook is being found out", "ask again in a moment",
                    true);
    }
    Known& known = kept.sources[{source.source, source.domain}];
    const bool old = outlook ? known.outlook != wanted : wanted.from - known.outlook.from > good_for;
    if (old || is_news(known, source)) {
        known.fates = std::make_shared<const std::vector<Fate>>(forecast_retention(
            source.policy->retention, source.subjects,
            forecast_for(*source.policy, source.source, source.subjects, wanted.from, wanted.horizon),
            stop_));
        known.source = source;
        known.outlook = wanted;
    }
    return known.fates;
}

nlohmann::json SnapshotFates::of(const std::shared_ptr<const RepositoryView>& view,
                                 const Snapshot& snapshot) {
    const auto& sources = view->measurements.retention;
    const auto source = std::ranges::find_if(sources, [&](const RetentionSource& one) {
        return one.source == snapshot.source && one.domain == snapshot.domain;
    });
    if (source == sources.end()) return without_fate(too_new, "");
    const auto subject = std::ranges::find(source->subjects, snapshot.id.hex(), &RetentionSubject::id);
    if (subject == source->subjects.end()) return without_fate(too_new, source->blocked);
    return fate_json(*source, of(*source, view->at, std::nullopt),
                     static_cast<std::size_t>(subject - source->subjects.begin()));
}

json fate_json(const RetentionSource& source, const SnapshotFates::Fates& fates, std::size_t index) {
    json value = without_fate(uncovered, source.blocked);
    if (!fates) return value;
    const Fate& fate = fates->at(index);
    value["policy"] = source.policy->name;
    if (fate.goes) value["goes"] = to_rfc3339(*fate.goes);
    value["reasons"] = fate.reasons;
    value["last_reasons"] = fate.last_reasons;
    return value;
}

} // namespace holdfast
