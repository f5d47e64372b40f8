#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "service/snapshot_json.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string repository;
    std::vector<std::string> snapshots;
    bool even_the_last = false;
    bool lost = false;
};

// `before` were forgotten before, and are as forgotten now.
int tell_forgotten(CommandContext& context, const std::vector<json>& snapshots, const std::set<RunId>& before,
                   bool append_only = false) {
    json ids = json::array();
    for (const json& snapshot : snapshots) ids.push_back(text_in(snapshot, "id"));
    for (const RunId& id : before) ids.push_back(id.hex());
    json report = {{"forgotten", ids}};
    for (const RunId& id : before) report["forgotten_before"].push_back(id.hex());
    context.report(report, [&] {
        for (const RunId& id : before) say("{} was forgotten before\n", short_id(id.hex()));
        for (const json& snapshot : snapshots)
            say("Forgot {} of '{}' from {}\n", short_id_in(snapshot, "id"), text_in(snapshot, "source"),
                local_time_in(snapshot, "time"));
        const char* whose = ids.size() == 1 ? "Its" : "Their";
        if (append_only) {
            say("{} space stays taken: this store is append-only for Holdfast.\n", whose);
        } else {
            say("{} space is freed by 'holdfast prune'.\n", whose);
        }
    });
    return exit_done;
}

// Of those that are named by their whole ids, the ones of which the repository says that they are forgotten:
// that one is not there any more, or not listed, says nothing.
std::set<RunId> forgotten_before(CommandContext& context, Repository& repository,
                                 const std::vector<std::string>& names) {
    std::set<RunId> named, forgotten;
    for (const std::string& name : names)
        if (const auto id = id_from_hex<RunId::size()>(name)) named.insert(*id);
    if (named.empty()) return forgotten;
    for (const Forget& forget : list_forgets(
             repository.context(), [&](const RunId& id) { return named.contains(id); },
             [&](const Error& error) {
                 context.logger().warning("passed over", {{"reason", error.message()}});
             }))
        forgotten.insert(forget.snapshot);
    return forgotten;
}

// Those of which only others speak; each by its whole id, because there is nothing that a beginning of one
// could be compared with.
int forget_lost(CommandContext& context, const Arguments& arguments) {
    std::vector<RunId> lost;
    for (const std::string& name : arguments.snapshots) {
        const auto id = id_from_hex<RunId::size()>(name);
        if (!id)
            throw Error(ErrorCode::usage, fmt::format("'{}' is not the whole id of a snapshot", name),
                        "'holdfast verify' names what is gone as commits/ and its id");
        lost.push_back(*id);
    }
    const OpenRepository open = context.open(arguments.repository);
    const std::set<RunId> before = forgotten_before(context, *open.repository, arguments.snapshots);
    std::set<RunId> missed(lost.begin(), lost.end());
    for (const RunId& id : before) missed.erase(id);
    if (!missed.empty()) forget_lost_snapshots(open.repository->context(), missed);
    json report = {{"forgotten", json::array()}};
    for (const RunId& id : lost) report["forgotten"].push_back(id.hex());
    context.report(report, [&] {
        for (const RunId& id : lost) say("{} is not missed any more\n", id.hex());
    });
    return exit_done;
}

int run_forget(CommandContext& context, const Arguments& arguments) {
    if (arguments.lost) return forget_lost(context, arguments);
    const OpenRepository open = context.open(arguments.repository);
    const std::set<RunId> before = forgotten_before(context, *open.repository, arguments.snapshots);
    // All are looked up, and all are judged, before the first is forgotten.
    std::vector<json> chosen;
    std::set<RunId> ids;
    for (const std::string& name : arguments.snapshots) {
        if (const auto id = id_from_hex<RunId::size()>(name); id && before.contains(*id)) continue;
        const Snapshot snapshot = open.repository->find_snapshot(name, "");
        ids.insert(snapshot.id);
        chosen.push_back(to_json(snapshot));
    }
    if (!ids.empty()) forget_snapshots(open.repository->context(), ids, arguments.even_the_last);
    const StoreCapabilities& can = open.repository->config().capabilities;
    return tell_forgotten(context, chosen, before, !can.put_if_absent || !can.consistent);
}

// The same at a server.
std::optional<RunId> forgotten_before(ApiClient& api, const std::string& name) {
    const auto id = id_from_hex<RunId::size()>(name);
    if (!id) return std::nullopt;
    try {
        api.get("/v1/forgets/" + name);
        return id;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
        return std::nullopt;
    }
}

// Each is an operation of its own: one that is refused leaves those before it forgotten, and they are told.
int forget_at_server(CommandContext& context, const Arguments& arguments) {
    if (arguments.lost)
        throw Error(ErrorCode::usage, "--lost is not done at a server",
                    "do it where the repository is opened");
    ApiClient& api = context.api();
    std::vector<json> chosen, forgotten;
    std::set<RunId> before;
    for (const std::string& name : arguments.snapshots) {
        try {
            chosen.push_back(snapshot_at_server(context, name));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::usage) throw;
            const auto id = forgotten_before(api, name);
            if (!id) throw;
            before.insert(*id);
        }
    }
    int code = exit_done;
    try {
        for (const json& snapshot : chosen) {
            const std::string path = fmt::format("/v1/snapshots/{}{}", text_in(snapshot, "id"),
                                                 arguments.even_the_last ? "?even_the_last=true" : "");
            const auto note = [&](CommandContext&, const json& result) {
                const std::vector<std::string> gone = texts_in(result, "forgotten_before");
                for (const std::string& name : gone)
                    if (const auto id = id_from_hex<RunId::size()>(name)) before.insert(*id);
                if (gone.empty()) forgotten.push_back(snapshot);
                return exit_done;
            };
            code = std::max(code, work_at_server(context, {.method = "DELETE", .path = path}, note));
        }
    } catch (const Error&) {
        if (!forgotten.empty() || !before.empty()) tell_forgotten(context, forgotten, before);
        throw;
    }
    if (forgotten.empty() && before.empty()) return code;
    return std::max(code, tell_forgotten(context, forgotten, before));
}

} // namespace

void add_forget(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("forget", "Say that snapshots are no longer wanted");
    add_repository_option(*command, arguments->repository);
    command->add_option("SNAPSHOT", arguments->snapshots, "Ids, or beginnings of ids")->required();
    command->add_flag("--even-the-last", arguments->even_the_last, "Also the last snapshot of a source");
    command->add_flag(
        "--lost", arguments->lost,
        "Of snapshots that are not there though others speak of them: do not miss them any more");
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_forget(context, *arguments); };
        run.at_server = [arguments](CommandContext& context) {
            return forget_at_server(context, *arguments);
        };
    });
}

} // namespace holdfast
