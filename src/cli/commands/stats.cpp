#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"
#include "service/repository_stats.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    bool detail = false;
};

nlohmann::json stored_json(const std::map<std::string, StoredObjects>& stored) {
    nlohmann::json value = nlohmann::json::object();
    for (const auto& [name, objects] : stored)
        value[name] = {{"objects", objects.objects}, {"bytes", objects.bytes}};
    return value;
}

// What the repository is, and what its store can do, as it was found when the repository was made.
nlohmann::json repository_json(const Repository& repository) {
    const RepositoryConfig& config = repository.config();
    const StoreCapabilities& can = config.capabilities;
    return {{"id", config.repository.hex()},
            {"created", to_rfc3339(config.created)},
            {"epoch", repository.keys().newest_epoch()},
            {"features", {{"must_know", config.must_know}, {"may_ignore", config.may_ignore}}},
            {"pack_bytes", config.pack_bytes},
            {"store",
             {{"put_if_absent", can.put_if_absent},
              {"consistent", can.consistent},
              {"object_lock", can.object_lock},
              {"versions", can.versions},
              {"server_copy", can.server_copy},
              {"tiers", can.tiers},
              {"largest_object_bytes", can.largest_object_bytes}}}};
}

nlohmann::json result_json(const Repository& repository, const RepositoryStats& stats) {
    nlohmann::json sources = nlohmann::json::object();
    for (const auto& [name, source] : stats.sources) {
        sources[name] = {{"snapshots", source.snapshots},
                         {"logical_bytes", source.logical_bytes},
                         {"newest_logical_bytes", source.newest_logical_bytes},
                         {"added_bytes", source.added_bytes}};
    }
    nlohmann::json compression = nlohmann::json::object();
    for (const auto& [name, kind] : stats.compression) {
        compression[name] = {{"packs", kind.packs},
                             {"frames", kind.frames},
                             {"blobs", kind.blobs},
                             {"raw_bytes", kind.raw_bytes},
                             {"stored_bytes", kind.stored_bytes},
                             {"incompressible_bytes", kind.incompressible_bytes},
                             {"ratio", kind.ratio()}};
    }
    nlohmann::json logs = nlohmann::json::array();
    for (const auto& [archive, log] : stats.logs) {
        logs.push_back({{"archive", archive.hex()},
                        {"source", log.source.empty() ? nlohmann::json() : nlohmann::json(log.source)},
                        {"slices", log.slices},
                        {"log_bytes", log.log_bytes},
                        {"stored_bytes", log.stored_bytes}});
    }
    return {{"repository", repository_json(repository)},
            {"objects", stats.all.objects},
            {"bytes", stats.all.bytes},
            {"by_folder", stored_json(stats.by_folder)},
            {"packs", stored_json(stats.packs)},
            {"snapshots", stats.snapshots},
            {"logical_bytes", stats.logical_bytes},
            {"deduplication_ratio", stats.deduplication_ratio()},
            {"sources", sources},
            {"logs", logs},
            {"compression", compression}};
}

void print_stored(const nlohmann::json& value) {
    for (const auto& [name, objects] : list_in(value, "packs").items())
        say("  {:<14}{:>8} packs  {:>10}\n", name, number_in(objects, "objects"),
            format_bytes(number_in(objects, "bytes")));
    for (const auto& [name, objects] : list_in(value, "by_folder").items())
        if (name != "packs")
            say("  {:<14}{:>8} objects{:>10}\n", name, number_in(objects, "objects"),
                format_bytes(number_in(objects, "bytes")));
    for (const auto& [name, kind] : list_in(value, "compression").items()) {
        say("{} packs: {}, {}, {} in {}, {:.2f} to 1; {} not compressible\n", name,
            counted(number_in(kind, "frames"), "frame"), counted(number_in(kind, "blobs"), "blob"),
            format_bytes(number_in(kind, "raw_bytes")), format_bytes(number_in(kind, "stored_bytes")),
            real_in(kind, "ratio"), format_bytes(number_in(kind, "incompressible_bytes")));
    }
}

void print_stats(const nlohmann::json& value) {
    say("{} of {}, stored in {}: {:.2f} to 1\n", counted(number_in(value, "snapshots"), "snapshot"),
        format_bytes(number_in(value, "logical_bytes")), format_bytes(number_in(value, "bytes")),
        real_in(value, "deduplication_ratio"));
    print_stored(value);
    say("\n{:<20}{:>10}{:>14}{:>14}\n", "SOURCE", "SNAPSHOTS", "NEWEST SIZE", "ADDED IN ALL");
    for (const auto& [name, source] : list_in(value, "sources").items())
        say("{:<20}{:>10}{:>14}{:>14}\n", name, number_in(source, "snapshots"),
            format_bytes(number_in(source, "newest_logical_bytes")),
            format_bytes(number_in(source, "added_bytes")));
    const nlohmann::json& logs = list_in(value, "logs");
    if (!logs.empty()) say("\n{:<20}{:>10}{:>14}{:>14}\n", "LOG OF", "SLICES", "LOG", "STORED");
    for (const nlohmann::json& log : logs)
        say("{:<20}{:>10}{:>14}{:>14}\n",
            has(log, "source") ? text_in(log, "source") : fmt::format("({})", short_id_in(log, "archive")),
            number_in(log, "slices"), format_bytes(number_in(log, "log_bytes")),
            format_bytes(number_in(log, "stored_bytes")));
}

int run_stats(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const RepositoryStats stats = repository_stats(*open.repository, arguments.detail, context.stop());
    const nlohmann::json value = result_json(*open.repository, stats);
    context.print(value, [&] { print_stats(value); });
    return exit_done;
}

int stats_at_server(CommandContext& context, const CLI::App& command) {
    refuse_options_but(command, {});
    const nlohmann::json value = context.api().get("/v1/repository");
    context.print(value, [&] { print_stats(value); });
    return exit_done;
}

} // namespace

void add_stats(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("stats", "Show how much is stored and what that saves");
    add_repository_option(*command, a->repository);
    command->add_flag("--detail", a->detail, "Read the tables of all packs, for compression");
    command->callback([a, command, &run] {
        run = [a](CommandContext& context) { return run_stats(context, *a); };
        run.at_server = [command](CommandContext& context) { return stats_at_server(context, *command); };
    });
}

} // namespace holdfast
