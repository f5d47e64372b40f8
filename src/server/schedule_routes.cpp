#include "base/json_text.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "server/policy_routes.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::uint64_t most_runs = 100;

json time_of(const std::optional<Timestamp>& time) { return time ? json(to_rfc3339(*time)) : json(); }

Response answer(const json& value) { return api::json_response(200, json_text(value)); }

// By which it is known, and which its place in the list follows from.
std::string key_of(const PlannedOperation& planned) {
    return fmt::format("{}\n{}\n{}", planned.source.value_or(""), planned.kind, planned.plan);
}

json last_json(const std::optional<Operation>& operation) {
    if (!operation) return nullptr;
    return {{"operation", operation->id},
            {"state", to_string(operation->state)},
            {"nominal", time_of(operation->nominal)},
            {"started", time_of(operation->started)},
            {"ended", time_of(operation->ended)}};
}

json schedule_json(const PlannedOperation& planned, const Policy* policy, const PolicyServices& services,
                   std::size_t runs) {
    const Timestamp now = services.clock.now();
    json next = json::array();
    for (const Schedule::Run& run : coming_runs(planned.schedule, now, runs))
        next.push_back({{"nominal", to_rfc3339(run.nominal)}, {"begin", to_rfc3339(run.begin)}});
    json overlaps = json::array();
    if (policy != nullptr)
        for (const MaintenanceOverlap& overlap : maintenance_overlaps(*policy, planned.schedule, now))
            overlaps.push_back({{"window", overlap.window}, {"first", to_rfc3339(overlap.first.begin)}});
    const auto [member, text] = rhythm_member(planned.schedule.rhythm());
    return {{"kind", planned.kind},
            {"source", planned.source ? json(*planned.source) : json()},
            {"plan", planned.plan},
            {"policy", policy != nullptr ? json(policy->name) : json()},
            {"rhythm", {{member, text}}},
            {"time_zone", planned.schedule.zone().name()},
            {"catch_up", planned.catch_up},
            {"next", std::move(next)},
            {"last", last_json(services.operations.last_run(planned.kind, planned.source, planned.plan))},
            {"maintenance_overlaps", std::move(overlaps)}};
}

Response schedules(Call& call, const PolicyServices& services) {
    call.expect_parameters({"source", "runs", "limit", "cursor"});
    const auto source = call.request().parameter("source");
    const std::uint64_t runs = call.number("runs", 0, most_runs).value_or(3);
    const api::Page page = call.page("schedules");
    const std::vector<Policy> policies = services.book.in_force(services.declared());
    auto planned = planned_operations(policies, services.sources(), services.settings, std::nullopt);
    std::erase_if(planned, [&](const PlannedOperation& one) {
        return (source && one.source != *source) || (!page.after.empty() && key_of(one) <= page.after);
    });
    std::ranges::sort(planned, {}, key_of);
    const std::size_t count = std::min<std::size_t>(page.limit, planned.size());
    json items = json::array();
    for (std::size_t i = 0; i < count; ++i) {
        const auto& of = planned[i].source;
        items.push_back(
            schedule_json(planned[i], of ? clear_policy_for(policies, *of) : nullptr, services, runs));
    }
    json next;
    if (count < planned.size()) next = Call::cursor("schedules", key_of(planned[count - 1]));
    return answer({{"items", std::move(items)}, {"next", next}});
}

} // namespace

void add_schedule_routes(api::Router& router, const PolicyServices& services) {
    const auto shared = std::make_shared<const PolicyServices>(services);
    router.add({.method = "GET",
                .path = "/v1/schedules",
                .name = "listSchedules",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return schedules(call, *shared); }});
}

} // namespace holdfast
