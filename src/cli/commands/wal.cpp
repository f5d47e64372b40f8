#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/text.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_push.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source, file, destination, path;
    unsigned batch = 64;
    unsigned ahead = 16;
    bool new_cluster = false;
};

constexpr std::string_view kind = "postgresql";

std::string_view to_word(postgres::PushOutcome outcome) {
    switch (outcome) {
    case postgres::PushOutcome::stored:
        return "stored";
    case postgres::PushOutcome::already_there:
        return "already there";
    case postgres::PushOutcome::beside:
        return "stored beside another content";
    case postgres::PushOutcome::not_needed:
        return "not needed";
    }
    return "";
}

int run_push(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    postgres::PushSettings settings;
    settings.source = source.name;
    settings.spool_directory = spool_directory_of(context, source, arguments.repository);
    settings.batch = arguments.batch;
    settings.workers = worker_count();
    settings.new_cluster = arguments.new_cluster;
    if (source.compression_level != 0)
        settings.compression_level = static_cast<int>(source.compression_level);
    postgres::PushReport report;
    if (postgres::was_pushed(settings.spool_directory, arguments.path)) {
        report.files.push_back({arguments.path, postgres::PushOutcome::already_there});
    } else {
        const OpenRepository open = context.open(arguments.repository);
        report = postgres::push_wal(*open.repository, arguments.path, settings, context.stop());
    }
    nlohmann::json files = nlohmann::json::array();
    for (const postgres::PushedFile& file : report.files)
        files.push_back({{"file", file.name}, {"outcome", to_word(file.outcome)}});
    context.report({{"files", files}, {"stored_bytes", report.stored_bytes}, {"alarms", report.alarms}}, [&] {
        for (const postgres::PushedFile& file : report.files)
            fmt::print("{}: {}\n", file.name, to_word(file.outcome));
    });
    // What is asked for is durable all the same: an error would only make PostgreSQL ask for it again.
    for (const std::string& alarm : report.alarms) fmt::print(stderr, "holdfast: {}\n", alarm);
    return exit_done;
}

// This program again, in the background: it goes on when the command has answered.
void start_in_background(CommandContext& context, const std::vector<std::string>& words) {
    const GlobalOptions& options = context.options();
    std::vector<std::string> line{"holdfast", "--quiet"};
    const std::array<std::pair<const char*, const std::string*>, 6> named{
        {{"--key-file", &options.key_file},
         {"--private-key", &options.private_key},
         {"--config", &options.configuration_file},
         {"--cache-directory", &options.cache_directory},
         {"--limit-upload", &options.limit_upload},
         {"--limit-download", &options.limit_download}}};
    for (const auto& [name, value] : named) {
        if (!value->empty()) line.insert(line.end(), {name, *value});
    }
    line.insert(line.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : line) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t process = 0;
    const int failed = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) context.logger().warning("nothing is fetched ahead", {{"error", failed}});
}

int run_fetch(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const std::string spool = spool_directory_of(context, source, arguments.repository) + "/fetched";
    const auto fetch_ahead = [&] {
        if (arguments.ahead == 0 || postgres::prefetched(spool) > arguments.ahead / 2) return;
        std::vector<std::string> words{"wal", "prefetch", "--ahead", fmt::format("{}", arguments.ahead)};
        if (!arguments.repository.empty()) words.insert(words.end(), {"--repo", arguments.repository});
        words.insert(words.end(), {arguments.source, arguments.file});
        start_in_background(context, words);
    };
    bool found = postgres::take_prefetched(spool, arguments.file, arguments.destination);
    if (!found) {
        const OpenRepository open = context.open(arguments.repository);
        const postgres::WalArchive archive =
            postgres::open_wal_archive(*open.repository, source.name, {.stop = context.stop()});
        const std::uint64_t segment_bytes = postgres::segment_bytes_of(archive, {.stop = context.stop()});
        found = segment_bytes != 0 && postgres::fetch_wal_file(archive, arguments.file, arguments.destination,
                                                               segment_bytes, context.stop());
    }
    if (found && !arguments.file.ends_with(".history")) fetch_ahead();
    context.report({{"file", arguments.file}, {"found", found}},
                   [&] { fmt::print("{}: {}\n", arguments.file, found ? "fetched" : "not in the archive"); });
    return found ? exit_done : exit_failed;
}

int run_prefetch(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const OpenRepository open = context.open(arguments.repository);
    const postgres::WalArchive archive =
        postgres::open_wal_archive(*open.repository, source.name, {.stop = context.stop()});
    postgres::PrefetchSettings settings;
    settings.spool_directory = spool_directory_of(context, source, arguments.repository) + "/fetched";
    settings.segments = arguments.ahead;
    settings.workers = worker_count();
    postgres::prefetch_wal(archive, arguments.file,
                           postgres::segment_bytes_of(archive, {.stop = context.stop()}), settings,
                           context.stop());
    return exit_done;
}

} // namespace

void add_wal(CLI::App& app, RunCommand& run) {
    CLI::App* group = app.add_subcommand("wal", "The write-ahead log of a PostgreSQL source");
    group->require_subcommand(1);
    const auto add = [&](const char* name, const char* what, int (*body)(CommandContext&, const Arguments&)) {
        auto a = std::make_shared<Arguments>();
        CLI::App* command = group->add_subcommand(name, what);
        add_repository_option(*command, a->repository);
        command->add_option("SOURCE", a->source, "Name of the source")->required();
        command->callback(
            [a, body, &run] { run = [a, body](CommandContext& context) { return body(context, *a); }; });
        return std::pair(command, a);
    };
    const auto [push, to] =
        add("push", "Store a file of the log; for archive_command: push SOURCE %p", run_push);
    push->add_option("PATH", to->path, "The file, as %p says")->required();
    push->add_option("--batch", to->batch, "How many files that wait behind it are stored with it")
        ->check(CLI::Range(1U, 4096U))
        ->capture_default_str();
    push->add_flag("--new-cluster", to->new_cluster,
                   "Another cluster has taken the place of the one that the source was");
    const auto [fetch, from] =
        add("fetch", "Write a file of the log; for restore_command: fetch SOURCE %f %p", run_fetch);
    fetch->add_option("FILE", from->file, "Its name, as %f says")->required();
    fetch->add_option("DESTINATION", from->destination, "Where to write it, as %p says")->required();
    fetch->add_option("--ahead", from->ahead, "How many segments are fetched ahead; 0: none")
        ->check(CLI::Range(0U, 1024U))
        ->capture_default_str();
    const auto [prefetch, behind] = add("prefetch", "Fetch segments ahead", run_prefetch);
    prefetch->group("");
    prefetch->add_option("FILE", behind->file, "Those behind this one")->required();
    prefetch->add_option("--ahead", behind->ahead, "How many");
}

} // namespace holdfast
