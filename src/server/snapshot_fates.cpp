#include "server/snapshot_fates.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr std::chrono::years horizon{10};

} // namespace

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
    if (view_ != view) known_.clear();
    view_ = view;
    const auto [place, is_new] = known_.try_emplace({source->source, source->domain});
    if (is_new) {
        place->second =
            forecast_retention(source->policy->retention, source->subjects,
                               forecast_for(*source->policy, source->source, source->subjects, view->at,
                                            view->at + std::chrono::duration_cast<Duration>(horizon)));
    }
    const Fate& fate = place->second.at(static_cast<std::size_t>(subject - source->subjects.begin()));
    json["policy"] = source->policy->name;
    if (fate.goes) json["goes"] = to_rfc3339(*fate.goes);
    json["reasons"] = fate.reasons;
    json["last_reasons"] = fate.last_reasons;
    return json;
}

} // namespace holdfast
