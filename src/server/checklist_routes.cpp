#include "server/checklist_routes.h"

#include "base/error.h"
#include "base/json_text.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t most_periods = 60, usual_periods = 12;
constexpr std::size_t longest_note = 1000;

Response answer(const Json& value) { return api::json_response(200, json_text(value)); }

template <typename Value>
Json or_null(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

// How an item stands in a period.
Json state_json(const ChecklistItemState& each) {
    const auto& tick = each.tick;
    return {{"state", to_string(each.state)},
            {"at", tick ? Json(to_rfc3339(tick->at)) : Json()},
            {"by", tick ? or_null(tick->by) : Json()},
            {"note", tick ? Json(tick->note) : Json()}};
}

Json span_json(const TimeSpan& span) {
    return {{"begins", to_rfc3339(span.begin)}, {"ends", to_rfc3339(span.end)}};
}

Json list_json(const Checklist& list) {
    return {{"name", list.name}, {"every", to_string(list.every)}, {"time_zone", list.zone.name()}};
}

// An item of `periods`, the newest of which is that of now.
Json item_json(const ChecklistItemState& each, const std::vector<ChecklistPeriod>& periods) {
    const auto& check = each.item.check;
    Json json = {{"name", each.item.name},
                 {"text", each.item.text},
                 {"check", check ? Json(to_string(*check)) : Json()},
                 {"runbook", each.item.runbook}};
    json.update(state_json(each));
    json["last"] = Json();
    if (periods.size() < 2) return json;
    const auto& before = periods[1].items;
    const auto same = std::ranges::find_if(
        before, [&](const ChecklistItemState& one) { return one.item.name == each.item.name; });
    if (same == before.end()) return json;
    json["last"] = span_json(periods[1].span);
    json["last"].update(state_json(*same));
    return json;
}

Json with_items(const Checklist& list, ChecklistBook& book, const ChecklistKeeper& keeper) {
    const auto periods = book.periods(list, 2);
    Json json = list_json(list);
    json.update(span_json(periods.front().span));
    json["items"] = Json::array();
    for (const ChecklistItemState& each : periods.front().items) {
        Json item = item_json(each, periods);
        // Why Holdfast did not tick it.
        const std::string seen =
            each.state == ItemState::due ? keeper.seen(list.name, each.item.name) : std::string();
        item["seen"] = seen.empty() ? Json() : Json(seen);
        json["items"].push_back(std::move(item));
    }
    return json;
}

Response all_lists(Call& call, ChecklistBook& book, const ChecklistKeeper& keeper) {
    call.expect_parameters({});
    Json items = Json::array();
    for (const Checklist& list : book.lists()) items.push_back(with_items(list, book, keeper));
    return answer({{"items", std::move(items)}});
}

Response history(Call& call, ChecklistBook& book) {
    call.expect_parameters({"periods"});
    const std::uint64_t count = call.number("periods", 1, most_periods).value_or(usual_periods);
    const Checklist list = book.require(call.path_parameter("list"));
    Json json = list_json(list);
    json["periods"] = Json::array();
    for (const ChecklistPeriod& period : book.periods(list, count)) {
        Json one = span_json(period.span);
        one["items"] = Json::array();
        for (const ChecklistItemState& each : period.items) {
            Json item = {{"name", each.item.name}, {"text", each.item.text}};
            item.update(state_json(each));
            one["items"].push_back(std::move(item));
        }
        json["periods"].push_back(std::move(one));
    }
    return answer(json);
}

Response tick(Call& call, ChecklistBook& book, Clock& clock) {
    call.expect_parameters({});
    Form form = call.form();
    const std::string note = form.text("note", longest_note).value_or("");
    form.expect_no_more();
    const Checklist list = book.require(call.path_parameter("list"));
    const std::string& item = call.path_parameter("item");
    if (list.find(item) == nullptr)
        throw Error(ErrorCode::not_found,
                    fmt::format("the checklist '{}' has no item '{}'", list.name, item));
    const ChecklistTick tick{
        .list = list.name, .item = item, .at = clock.now(), .by = call.actor(), .note = note};
    const TimeSpan period = list.period(tick.at);
    return call.change([&](Database& database) {
        const auto [there, is_new] = book.tick(database, list, tick);
        if (is_new)
            call.audit(database, "checklist.tick", fmt::format("{}/{}", list.name, item),
                       json_text(Json({{"period", to_rfc3339(period.begin)}, {"note", note}})));
        Json json = {{"list", list.name}, {"name", item}};
        json.update(span_json(period));
        json.update(state_json({.item = {}, .state = ItemState::done, .tick = there}));
        json["ticked_now"] = is_new;
        return answer(json);
    });
}

} // namespace

void add_checklist_routes(api::Router& router, ChecklistBook& book, const ChecklistKeeper& keeper,
                          Clock& clock) {
    router.add({.method = "GET",
                .path = "/v1/checklists",
                .name = "listChecklists",
                .permission = Permission::read,
                .handle = [&](Call& call) { return all_lists(call, book, keeper); }});
    router.add({.method = "GET",
                .path = "/v1/checklists/{list}",
                .name = "getChecklist",
                .permission = Permission::read,
                .handle = [&](Call& call) { return history(call, book); }});
    router.add({.method = "POST",
                .path = "/v1/checklists/{list}/items/{item}/tick",
                .name = "tickChecklistItem",
                .permission = Permission::acknowledge,
                .handle = [&](Call& call) { return tick(call, book, clock); }});
}

} // namespace holdfast
