#include "cli/commands/repository_option.h"
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

int run_stats(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const RepositoryStats stats = repository_stats(*open.repository, arguments.detail, context.stop());
    context.print(result_json(*open.repository, stats), [&] {
        fmt::print("{} of {}, stored in {}: {:.2f} to 1\n", counted(stats.snapshots, "snapshot"),
                   format_bytes(stats.logical_bytes), format_bytes(stats.all.bytes),
                   stats.deduplication_ratio());
        for (const auto& [name, objects] : stats.packs) {
            fmt::print("  {:<14}{:>8} packs  {:>10}\n", name, objects.objects, format_bytes(objects.bytes));
        }
        for (const auto& [name, objects] : stats.by_folder) {
            if (name != "packs")
                fmt::print("  {:<14}{:>8} objects{:>10}\n", name, objects.objects,
                           format_bytes(objects.bytes));
        }
        for (const auto& [name, kind] : stats.compression) {
            fmt::print("{} packs: {}, {}, {} in {}, {:.2f} to 1; {} not compressible\n", name,
                       counted(kind.frames, "frame"), counted(kind.blobs, "blob"),
                       format_bytes(kind.raw_bytes), format_bytes(kind.stored_bytes), kind.ratio(),
                       format_bytes(kind.incompressible_bytes));
        }
        fmt::print("\n{:<20}{:>10}{:>14}{:>14}\n", "SOURCE", "SNAPSHOTS", "NEWEST SIZE", "ADDED IN ALL");
        for (const auto& [name, source] : stats.sources) {
            fmt::print("{:<20}{:>10}{:>14}{:>14}\n", name, source.snapshots,
                       format_bytes(source.newest_logical_bytes), format_bytes(source.added_bytes));
        }
        if (!stats.logs.empty())
            fmt::print("\n{:<20}{:>10}{:>14}{:>14}\n", "LOG OF", "SLICES", "LOG", "STORED");
        for (const auto& [archive, log] : stats.logs) {
            fmt::print("{:<20}{:>10}{:>14}{:>14}\n",
                       log.source.empty() ? fmt::format("({})", short_id(archive.hex())) : log.source,
                       log.slices, format_bytes(log.log_bytes), format_bytes(log.stored_bytes));
        }
    });
    return exit_done;
}

} // namespace

void add_stats(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("stats", "Show how much is stored and what that saves");
    add_repository_option(*command, a->repository);
    command->add_flag("--detail", a->detail, "Read the tables of all packs, for compression");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_stats(context, *a); }; });
}

} // namespace holdfast
