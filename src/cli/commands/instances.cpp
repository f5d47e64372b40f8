#include "base/error.h"
#include "cli/commands/source_option.h"
#include "cli/say.h"
#include "cli/text.h"
#include "service/restored_instances.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string remove;
    bool remove_expired = false;
};

nlohmann::json to_json(const RestoredInstance& instance) {
    nlohmann::json value = {{"data_directory", instance.data_directory},
                            {"source", instance.source},
                            {"recovered_to", instance.target},
                            {"connection", instance.connection},
                            {"creator", instance.creator},
                            {"tags", instance.tags},
                            {"restored", to_rfc3339(instance.restored)}};
    if (instance.expires) value["expires"] = to_rfc3339(*instance.expires);
    return value;
}

void print_instance(const RestoredInstance& instance) {
    say("{}\n  '{}' to {}, restored {} by {}\n", instance.data_directory, instance.source, instance.target,
        local_time(instance.restored), instance.creator);
    for (const auto& [name, value] : instance.tags) say("  {}={}\n", name, value);
    if (instance.expires) say("  to be removed after {}\n", local_time(*instance.expires));
    if (!instance.connection.empty()) say("  psql '{}'\n", instance.connection);
}

int run_instances(CommandContext& context, const Arguments& arguments) {
    const std::string state = state_directory_of_user();
    std::vector<RestoredInstance> chosen = list_instances(state);
    const bool removes = arguments.remove_expired || !arguments.remove.empty();
    if (!arguments.remove.empty()) {
        const std::string wanted = std::filesystem::absolute(arguments.remove).lexically_normal().string();
        std::erase_if(chosen, [&](const RestoredInstance& one) { return one.data_directory != wanted; });
        if (chosen.empty()) {
            throw Error(ErrorCode::not_found, fmt::format("nothing that was restored to {} is known", wanted),
                        "'holdfast instances' lists those that are");
        }
    } else if (arguments.remove_expired) {
        const Timestamp now = system_clock().now();
        std::erase_if(chosen, [&](const RestoredInstance& one) { return !one.expired(now); });
    }
    nlohmann::json done = nlohmann::json::array();
    bool all = true;
    for (const RestoredInstance& instance : chosen) {
        if (removes) {
            try {
                remove_instance(state, instance, context.stop());
            } catch (const Error& error) {
                if (error.code() == ErrorCode::cancelled) throw;
                all = false;
                say(stderr, "holdfast: {}\n", error.message());
                continue;
            }
        }
        done.push_back(to_json(instance));
    }
    const auto text = [&] {
        for (const nlohmann::json& one : done) {
            if (removes) say("Removed {}\n", one["data_directory"].get<std::string>());
        }
        if (removes) return;
        for (const RestoredInstance& instance : chosen) print_instance(instance);
        if (chosen.empty()) say("(none)\n");
    };
    if (removes) {
        context.report(done, text);
    } else {
        context.print(done, text);
    }
    return all ? exit_done : exit_incomplete;
}

} // namespace

void add_instances(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command =
        app.add_subcommand("instances", "Recovered clusters on this machine, and an end to those not needed");
    CLI::Option* one =
        command->add_option("--remove", a->remove, "Stop the server over this directory and remove it");
    command->add_flag("--remove-expired", a->remove_expired, "The same for all that were restored for a time")
        ->excludes(one);
    command->callback(
        [a, &run] { run = [a](CommandContext& context) { return run_instances(context, *a); }; });
}

} // namespace holdfast
