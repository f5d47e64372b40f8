#include "server/snapshot_fates.h"

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

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

} // namespace

bool SnapshotFates::is_news(const Known& known, const RetentionSource& source, Timestamp at) {
    if (!known.source.policy || at - known.at > good_for) return true;
    const Policy &before = *known.source.policy, &now = *source.policy;
    const auto alike = [](const auto& a, const auto& b) { return are_alike(a, b); };
    return before.name != now.name || before.retention != now.retention ||
           !std::ranges::equal(before.backups, now.backups, alike) ||
           !std::ranges::equal(known.source.subjects, source.subjects, alike);
}

nlohmann::json SnapshotFates::of(const std::shared_ptr<const RepositoryView>& view,
                                 const Snapshot& snapshot) {
    nlohmann::json json = {{"policy", nullptr},
                           {"goes", nullptr},
                           {"reasons", nlohmann::json::array({"no policy covers its source"})},
                           {"last_reasons", nlohmann::json::array()},
                           {"blocked", ""}};
    const auto& sources = view->measurements.retention;
    const auto source = std::ranges::find_if(sources, [&](const RetentionSource& one) {
        return one.source == snapshot.source && one.domain == snapshot.domain;
    });
    if (source == sources.end()) return json;
    json["blocked"] = source->blocked;
    if (!source->policy) return json;
    const auto subject = std::ranges::find(source->subjects, snapshot.id.hex(), &RetentionSubject::id);
    if (subject == source->subjects.end()) return json;
    const std::scoped_lock lock(mutex_);
    Known& known = known_[{source->source, source->domain}];
    if (is_news(known, *source, view->at)) {
        known.fates =
            forecast_retention(source->policy->retention, source->subjects,
                               forecast_for(*source->policy, source->source, source->subjects, view->at,
                                            view->at + std::chrono::duration_cast<Duration>(horizon)));
        known.source = *source;
        known.at = view->at;
    }
    const Fate& fate = known.fates.at(static_cast<std::size_t>(subject - source->subjects.begin()));
    json["policy"] = source->policy->name;
    if (fate.goes) json["goes"] = to_rfc3339(*fate.goes);
    json["reasons"] = fate.reasons;
    json["last_reasons"] = fate.last_reasons;
    return json;
}

} // namespace holdfast
