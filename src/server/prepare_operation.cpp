#include "server/prepare_operation.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

std::optional<std::string> implied(const api::OperationAsked& asked, const char* name) {
    const auto found = asked.implied.find(name);
    return found == asked.implied.end() ? std::nullopt : std::optional(found->second);
}

// The only one of a kind.
std::optional<std::string> only_source(const OperationWorld& world, const std::string& kind) {
    std::vector<std::string> names;
    for (const auto& [name, of_kind] : world.sources)
        if (of_kind == kind) names.push_back(name);
    if (names.size() == 1) return names.front();
    throw Error(ErrorCode::usage, "'source' is missing",
                names.empty() ? fmt::format("no source of kind {} is declared on this server", kind)
                              : fmt::format("it is one of {}", fmt::join(names, ", ")))
        .with_field("source");
}

} // namespace

OperationRequest prepare_operation(const api::OperationAsked& asked, const OperationWorld& world,
                                   Timestamp now) {
    if (std::ranges::find(operation_kinds, asked.kind) == operation_kinds.end())
        throw Error(ErrorCode::unsupported, fmt::format("this server carries out no {} yet", asked.kind));
    json request = json::parse(asked.body);
    OperationRequest operation{.kind = asked.kind, .requested_by = asked.requested_by, .run_after = now};
    if (const auto source = request.find("source"); source != request.end() && !source->is_null()) {
        if (!source->is_string())
            throw Error(ErrorCode::usage, "'source' must be a text").with_field("source");
        operation.source = source->get<std::string>();
    }
    request.erase("source");
    if (const auto kind = implied(asked, "source_kind")) {
        if (!operation.source) operation.source = only_source(world, *kind);
        const auto found = world.sources.find(*operation.source);
        if (found != world.sources.end() && found->second != *kind)
            throw Error(ErrorCode::usage, fmt::format("source '{}' is of kind {}, and this is about {}",
                                                      *operation.source, found->second, *kind))
                .with_field("source");
    }
    // What the route says wins over nothing: said twice, it must be the same.
    const auto say = [&](const char* member, const json& value) {
        if (request.contains(member) && request[member] != value)
            throw Error(ErrorCode::usage, fmt::format("'{}' is {} by the route", member, value.dump()))
                .with_field(member);
        request[member] = value;
    };
    if (const auto type = implied(asked, "type")) say("type", *type);
    if (const auto snapshot = implied(asked, "snapshot")) say("snapshots", json::array({*snapshot}));
    operation.request = request.dump();
    operation_command(operation.kind, operation.source, operation.request, world);
    return operation;
}

} // namespace holdfast
