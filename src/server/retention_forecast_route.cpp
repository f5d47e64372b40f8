#include "server/retention_forecast_route.h"

#include "base/error.h"
#include "base/json_text.h"
#include "server/look_ahead.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using nlohmann::json;

// A part of the list is of so many sources at most: each may take seconds to find out.
constexpr std::size_t most_sources = 32;

struct Place {
    const RetentionSource* source;
    std::size_t index; // of its subjects

    const RetentionSubject& subject() const { return source->subjects[index]; }
};

// By source and domain, oldest first.
std::vector<Place> places_of(const RepositoryView& view, const std::optional<std::string>& wanted) {
    std::vector<Place> places;
    for (const RetentionSource& source : view.measurements.retention) {
        if (wanted && source.source != *wanted) continue;
        for (std::size_t i = 0; i < source.subjects.size(); ++i) places.push_back({&source, i});
    }
    return places;
}

// The first behind the cursor.
std::size_t begin_of(const std::vector<Place>& places, const std::string& after) {
    if (after.empty()) return 0;
    const auto at = std::ranges::find(places, after, [](const Place& place) { return place.subject().id; });
    if (at == places.end())
        throw Error(ErrorCode::usage, "the snapshot that this cursor stands at is gone",
                    "begin again without it")
            .with_field("cursor");
    return static_cast<std::size_t>(at - places.begin()) + 1;
}

std::optional<Outlook> outlook_of(const Call& call, Timestamp now) {
    if (!call.request().parameter("at") && !call.request().parameter("horizon")) return std::nullopt;
    const Timestamp from = asked_time(call, now);
    return Outlook{from, asked_horizon(call, from)};
}

json json_of(const Place& place, const SnapshotFates::Fates& fates) {
    json value = fate_json(*place.source, fates, place.index);
    value["id"] = place.subject().id;
    value["time"] = to_rfc3339(place.subject().time);
    value["class"] = place.subject().class_name;
    value["source"] = place.source->source;
    value["domain"] = place.source->domain;
    return value;
}

api::Response forecast(Call& call, const SnapshotServices& services) {
    call.expect_parameters({"source", "at", "horizon", "limit", "cursor"});
    const auto view = services.observer.require_view();
    const api::Page page = call.page("forecast");
    // As of the look: parts of a list go by one time, as long as nobody has looked again.
    const std::optional<Outlook> outlook = outlook_of(call, view->at);
    const std::vector<Place> places = places_of(*view, call.request().parameter("source"));
    const std::size_t begin = begin_of(places, page.after);
    std::size_t end = std::min(places.size(), begin + page.limit), sources = 0;
    json items = json::array();
    const RetentionSource* source = nullptr;
    SnapshotFates::Fates fates;
    for (std::size_t i = begin; i < end; ++i) {
        if (places[i].source != source) {
            if (++sources > most_sources) {
                end = i;
                break;
            }
            source = places[i].source;
            fates = services.fates.of(*source, view->at, outlook);
        }
        items.push_back(json_of(places[i], fates));
    }
    json next;
    if (end < places.size()) next = Call::cursor("forecast", places[end - 1].subject().id);
    const json value = {
        {"items", std::move(items)}, {"next", next}, {"problems", view->measurements.problems}};
    return api::json_response(200, json_text(value));
}

} // namespace

void add_retention_forecast_route(api::Router& router, const SnapshotServices& services) {
    router.add({.method = "GET",
                .path = "/v1/retention/forecast",
                .name = "forecastRetention",
                .permission = api::Permission::read,
                .handle = [services](Call& call) { return forecast(call, services); },
                .takes_long = [](const api::Request&) { return true; }});
}

} // namespace holdfast
