#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/task_group.h"
#include "cli/commands/program_words.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/wal_verify.h"
#include "cli/text.h"
#include "crypto/hash.h"
#include "postgres/archive/log_replacement.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_prefetch.h"
#include "postgres/archive/wal_push.h"
#include "postgres/receive/receive_wal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source, file, destination, path;
    std::string until, replacements, archive;
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

constexpr std::size_t most_replacement_bytes = 16u << 20;

std::optional<postgres::Lsn> parse_until(const Arguments& arguments) {
    if (arguments.until.empty()) return std::nullopt;
    const auto until = postgres::parse_lsn(arguments.until);
    if (!until) {
        throw Error(ErrorCode::usage, fmt::format("--until: '{}' is no position", arguments.until),
                    "such as 16/B374D848");
    }
    return until;
}

// This program again, in the background: it goes on when the command has answered.
void start_in_background(CommandContext& context, const std::vector<std::string>& words) {
    std::vector<std::string> line = program_words(context);
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

// What a recovery asked for beyond the file itself. False when the log ends before it.
bool adapt_fetched(const Arguments& arguments) {
    if (arguments.until.empty() && arguments.replacements.empty()) return true;
    const std::uint64_t bytes = std::filesystem::file_size(arguments.destination);
    if (bytes == 0 || !std::has_single_bit(bytes)) return true; // no segment
    const auto start = postgres::parse_segment_name(arguments.file, bytes);
    if (!start) return true;
    const postgres::WalRange segment{start->timeline, start->begin, start->begin + bytes};
    if (const auto until = parse_until(arguments)) {
        if (*until <= segment.begin) {
            ::unlink(arguments.destination.c_str());
            return false;
        }
        postgres::end_log_at(*until, arguments.destination, segment);
    }
    if (!arguments.replacements.empty()) {
        const Bytes text = read_file(arguments.replacements, most_replacement_bytes);
        postgres::apply_replacements(postgres::parse_replacements(as_text(text), arguments.replacements),
                                     arguments.destination, segment);
    }
    return true;
}

std::optional<ArchiveId> parse_archive(const Arguments& arguments) {
    if (arguments.archive.empty()) return std::nullopt;
    const auto id = id_from_hex<ArchiveId{}.bytes.size()>(arguments.archive);
    if (!id) {
        throw Error(ErrorCode::usage, fmt::format("--archive: '{}' is no archive", arguments.archive),
                    "it is what a restore has written into its restore_command");
    }
    return id;
}

// The one that is named, else the one that the source has now.
postgres::WalArchive archive_of(CommandContext& context, const OpenRepository& open,
                                const Arguments& arguments, const std::string& source) {
    if (const auto named = parse_archive(arguments)) return {open.repository->context(), *named};
    return postgres::open_wal_archive(*open.repository, source, {.stop = context.stop()});
}

// Where segments wait for who asks for them at that place: two recoveries take nothing from each other, nor
// one from an earlier one of another archive.
std::string prefetch_directory(const CommandContext& context, const SourceConfiguration& source,
                               const Arguments& arguments) {
    const std::string whose =
        std::filesystem::absolute(arguments.destination).parent_path().lexically_normal().string() + '\n' +
        arguments.archive;
    return fmt::format("{}/fetched/{}", spool_directory_of(context, source, arguments.repository),
                       derive_hash<8>("holdfast prefetch directory 1", as_bytes(whose)).hex());
}

void fetch_ahead(CommandContext& context, const Arguments& arguments, const std::string& directory) {
    const std::uint64_t bytes = std::filesystem::file_size(arguments.destination);
    if (!std::has_single_bit(bytes)) return; // no segment
    if (!postgres::should_prefetch(directory, arguments.file, bytes, arguments.ahead)) return;
    std::vector<std::string> words{"wal", "prefetch", "--ahead", fmt::format("{}", arguments.ahead)};
    if (!arguments.archive.empty()) words.insert(words.end(), {"--archive", arguments.archive});
    const std::vector<std::string> repository = repository_words(arguments.repository);
    words.insert(words.end(), repository.begin(), repository.end());
    words.insert(words.end(), {arguments.source, arguments.file, directory});
    start_in_background(context, words);
}

int run_fetch(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const std::optional<postgres::Lsn> until = parse_until(arguments);
    parse_archive(arguments); // refused before anything else
    const std::string ahead = prefetch_directory(context, source, arguments);
    bool found = postgres::take_prefetched(ahead, arguments.file, arguments.destination);
    if (!found) {
        const OpenRepository open = context.open(arguments.repository);
        const postgres::WalArchive archive = archive_of(context, open, arguments, source.name);
        const std::uint64_t segment_bytes = postgres::segment_bytes_of(archive, {.stop = context.stop()});
        found = segment_bytes != 0 &&
                postgres::fetch_wal_file(archive, arguments.file, arguments.destination, segment_bytes,
                                         context.stop(), until.value_or(postgres::Lsn{}));
    }
    if (found) found = adapt_fetched(arguments);
    if (found) fetch_ahead(context, arguments, ahead);
    context.report({{"file", arguments.file}, {"found", found}},
                   [&] { fmt::print("{}: {}\n", arguments.file, found ? "fetched" : "not in the archive"); });
    return found ? exit_done : exit_failed;
}

int run_prefetch(CommandContext& context, const Arguments& arguments) {
    // Before the repository is opened: mostly another process has the turn.
    const auto turn = postgres::PrefetchTurn::take(arguments.destination);
    if (!turn) return exit_done;
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const OpenRepository open = context.open(arguments.repository);
    const postgres::WalArchive archive = archive_of(context, open, arguments, source.name);
    postgres::prefetch_wal(*turn, archive, arguments.file,
                           postgres::segment_bytes_of(archive, {.stop = context.stop()}),
                           {.segments = arguments.ahead, .workers = worker_count()}, context.stop());
    return exit_done;
}

// Each needs memory for two slices.
constexpr unsigned most_receive_workers = 4;

struct ReceiveArguments {
    std::string repository, source, slot;
    std::string spool_limit = "8G";
    std::string application_name = "holdfast";
    std::optional<double> flush_seconds;
    double stop_grace_seconds = 30;
    bool create_slot = false;
    bool synchronous = false;
    bool new_cluster = false;
};

Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

postgres::ReceiveSettings receive_settings(const CommandContext& context, const ReceiveArguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    if (source.connection.empty()) {
        throw Error(ErrorCode::usage, fmt::format("it is not said how source '{}' is reached", source.name),
                    fmt::format("set connection below [source.{}] in holdfast.toml", source.name));
    }
    postgres::ReceiveSettings settings;
    settings.source = source.name;
    settings.server.conninfo = source.connection;
    settings.server.application_name = arguments.application_name;
    settings.server.create_slot = arguments.create_slot;
    settings.server.slot = !arguments.slot.empty() ? arguments.slot : source.slot;
    if (settings.server.slot.empty()) settings.server.slot = "holdfast";
    settings.spool_directory = spool_directory_of(context, source, arguments.repository);
    settings.spool_limit_bytes = parse_size(arguments.spool_limit, "--spool-limit");
    settings.synchronous = arguments.synchronous;
    settings.new_cluster = arguments.new_cluster;
    settings.stop_grace = from_seconds(arguments.stop_grace_seconds);
    settings.shipping.workers = std::min(worker_count(), most_receive_workers);
    if (source.compression_level != 0)
        settings.shipping.compression_level = static_cast<int>(source.compression_level);
    if (arguments.synchronous) settings.shipping.flush_interval = {};
    if (arguments.flush_seconds) settings.shipping.flush_interval = from_seconds(*arguments.flush_seconds);
    return settings;
}

int run_receive(CommandContext& context, const ReceiveArguments& arguments) {
    postgres::ReceiveSettings settings = receive_settings(context, arguments);
    if (context.json()) {
        settings.report = [](const postgres::ReceiveState& state) {
            fmt::print("{}\n", postgres::to_json_text(state));
            std::fflush(stdout);
        };
    }
    // A passphrase is asked for now; the repository is opened when it is there.
    const RepositoryAccess access = context.access(arguments.repository);
    const auto open = [&]() -> std::shared_ptr<Repository> {
        return open_repository_if_there(access, context.logger(), context.stop()).repository;
    };
    const postgres::ReceiveState last =
        postgres::receive_wal(open, settings, context.logger(), context.stop());
    if (!context.json() && !context.options().quiet) {
        fmt::print("received up to {}, archived up to {}\n",
                   last.received.lsn ? last.received.str() : "nothing",
                   last.archived.lsn ? last.archived.str() : "nothing");
    }
    return last.archived == last.received ? exit_done : exit_incomplete;
}

void add_receive(CLI::App& group, RunCommand& run) {
    auto a = std::make_shared<ReceiveArguments>();
    CLI::App* command =
        group.add_subcommand("receive", "Receive the log continuously through a replication slot");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source")->required();
    command->add_option("--slot", a->slot,
                        "The replication slot (default: slot below [source.SOURCE], or holdfast)");
    command->add_flag("--create-slot", a->create_slot, "Make the slot when it is missing, or lost its log");
    command
        ->add_option("--flush-interval", a->flush_seconds,
                     "Seconds after which what came is stored, if the store is fast enough (default: 5; with "
                     "--synchronous: 0)")
        ->check(CLI::Range(0.0, 3600.0));
    command->add_option("--spool-limit", a->spool_limit, "How much may wait on this machine, such as 8G")
        ->capture_default_str();
    command->add_flag("--synchronous", a->synchronous,
                      "Acknowledge only what the repository has, and at once: as a synchronous standby");
    command
        ->add_option("--application-name", a->application_name,
                     "How it shows on the server, and counts in synchronous_standby_names")
        ->capture_default_str();
    command->add_option("--stop-grace", a->stop_grace_seconds, "Seconds for storing what came, when stopped")
        ->check(CLI::Range(0.0, 3600.0))
        ->capture_default_str();
    command->add_flag("--new-cluster", a->new_cluster,
                      "Another cluster has taken the place of the one that the source was");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_receive(context, *a); }; });
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
    fetch->add_option("--archive", from->archive,
                      "The archive, as a restore has written it; default: the one that the source has now");
    fetch->add_option("--until", from->until, "The log ends at this position, whatever the archive has");
    fetch->add_option("--replace", from->replacements,
                      "A file that restore made, with what is to be replaced in the log");
    fetch->add_option("--ahead", from->ahead, "How many segments are fetched ahead; 0: none")
        ->check(CLI::Range(0U, 1024U))
        ->capture_default_str();
    const auto [prefetch, behind] = add("prefetch", "Fetch segments ahead", run_prefetch);
    prefetch->group("");
    prefetch->add_option("FILE", behind->file, "Those behind this one")->required();
    prefetch->add_option("DIRECTORY", behind->destination, "Where they wait")->required();
    prefetch->add_option("--ahead", behind->ahead, "How many");
    prefetch->add_option("--archive", behind->archive, "Of which archive");
    add_receive(*group, run);
    add_wal_verify(*group, run);
}

} // namespace holdfast
