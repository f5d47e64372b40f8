#include "cli/commands/wal_fetch.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/task_group.h"
#include "cli/commands/program_words.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/say.h"
#include "crypto/hash.h"
#include "postgres/archive/log_replacement.h"
#include "postgres/archive/older_names.h"
#include "postgres/archive/slice_list.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_prefetch.h"
#include "postgres/recovery/rivals.h"

#include <bit>
#include <filesystem>
#include <functional>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source, file, destination;
    std::string until, replacements, slices, archive, while_exists;
    unsigned ahead = 16;
};

constexpr std::string_view kind = "postgresql";
constexpr std::size_t most_replacement_bytes = 16u << 20;
constexpr std::size_t most_slice_list_bytes = 256u << 20;
constexpr std::string_view fetched_by_recovery =
    "RECOVERYXLOG"; // what a server calls it until it has read it
constexpr std::uint64_t looked_at_ahead = std::uint64_t{1} << 16; // segments: about a terabyte of log

std::optional<postgres::Lsn> parse_until(const Arguments& arguments) {
    if (arguments.until.empty()) return std::nullopt;
    const auto until = postgres::parse_lsn(arguments.until);
    if (!until) {
        throw Error(ErrorCode::usage, fmt::format("--until: '{}' is no position", arguments.until),
                    "such as 16/B374D848");
    }
    return until;
}

// This program again, in the background: it goes on when the command has answered, and holds nothing of the
// server's, neither its files nor its directory.
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
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t process = 0;
    const int failed = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) context.logger().warning("nothing is fetched ahead", {{"error", failed}});
}

// Of the file that was fetched, when it is a segment.
std::optional<postgres::WalRange> fetched_segment(const Arguments& arguments) {
    const std::uint64_t bytes = std::filesystem::file_size(arguments.destination);
    if (bytes == 0 || !std::has_single_bit(bytes)) return std::nullopt;
    const auto start = postgres::parse_segment_name(arguments.file, bytes);
    if (!start) return std::nullopt;
    return postgres::WalRange{start->timeline, start->begin, start->begin + bytes};
}

// What a recovery asked for beyond the file itself. False when the log ends before it.
bool adapt_fetched(const Arguments& arguments) {
    const auto segment = fetched_segment(arguments);
    if (!segment) return true;
    if (const auto until = parse_until(arguments)) {
        if (*until <= segment->begin) {
            ::unlink(arguments.destination.c_str());
            return false;
        }
        postgres::end_log_at(*until, arguments.destination, *segment);
    }
    if (!arguments.replacements.empty()) {
        const Bytes text = read_file(arguments.replacements, most_replacement_bytes);
        postgres::apply_replacements(postgres::parse_replacements(as_text(text), arguments.replacements),
                                     arguments.destination, *segment);
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
    const auto named = parse_archive(arguments);
    postgres::WalArchive archive =
        named ? postgres::WalArchive(open.repository->context(), *named)
              : postgres::open_wal_archive(*open.repository, source, {.stop = context.stop()});
    if (arguments.slices.empty()) return archive;
    const Bytes text = read_file(arguments.slices, most_slice_list_bytes);
    return archive.only(postgres::parse_slice_list(as_text(text), arguments.slices));
}

std::string digest_of_file(const std::string& path) {
    return derive_hash<8>("holdfast slice list 1", read_file(path, most_slice_list_bytes)).hex();
}

// Where segments wait for who asks for them at that place: two recoveries beside each other on one machine
// take nothing from each other.
std::string prefetch_directory(const CommandContext& context, const SourceConfiguration& source,
                               const Arguments& arguments) {
    std::string whose =
        std::filesystem::absolute(arguments.destination).parent_path().lexically_normal().string() + '\n' +
        arguments.archive;
    // What is chosen of an archive may be another choice the next time.
    if (!arguments.slices.empty()) whose += '\n' + digest_of_file(arguments.slices);
    return std::filesystem::absolute(
               fmt::format("{}/fetched/{}", spool_directory_of(context, source, arguments.repository),
                           derive_hash<8>("holdfast prefetch directory 1", as_bytes(whose)).hex()))
        .string();
}

// There while PostgreSQL recovers: the file in its data directory, where it runs its commands, that told it
// to.
std::string signal_file() {
    std::error_code ignored;
    for (const char* name : {"recovery.signal", "standby.signal"})
        if (std::filesystem::exists(name, ignored)) return std::filesystem::absolute(name).string();
    return {};
}

void fetch_ahead(CommandContext& context, const Arguments& arguments, const std::string& directory) {
    if (directory.empty() || arguments.ahead == 0 || arguments.file.ends_with(".history") ||
        postgres::is_prefetching(directory))
        return;
    std::vector<std::string> words{"wal", "prefetch", "--ahead", fmt::format("{}", arguments.ahead)};
    if (!arguments.archive.empty()) words.insert(words.end(), {"--archive", arguments.archive});
    if (!arguments.slices.empty())
        words.insert(words.end(), {"--slices", std::filesystem::absolute(arguments.slices).string()});
    if (const std::string file = signal_file(); !file.empty()) words.insert(words.end(), {"--while", file});
    const std::vector<std::string> repository = repository_words(arguments.repository);
    words.insert(words.end(), repository.begin(), repository.end());
    words.insert(words.end(), {arguments.source, arguments.file, directory});
    start_in_background(context, words);
}

// What is fetched ahead makes a recovery faster, and must not be what it fails by.
template <typename Use>
bool tolerantly(CommandContext& context, const char* what, Use&& use) {
    try {
        return use();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        context.logger().warning(what, {{"reason", error.message()}});
    } catch (const std::filesystem::filesystem_error& error) {
        context.logger().warning(what, {{"reason", error.what()}});
    }
    return false;
}

// In a server's own directory of its log, by the names that it may look for what it has fetched. What passes
// by itself fails the fetch, which is asked for again; nothing else does, since only servers with prepared
// transactions look.
void leave_older_names(CommandContext& context, const Arguments& arguments,
                       const std::function<const postgres::WalArchive&()>& archive) {
    if (std::filesystem::path(arguments.destination).filename() != fetched_by_recovery) return;
    const auto segment = fetched_segment(arguments);
    if (!segment || !postgres::begins_on_older_timeline(arguments.destination, segment->timeline)) return;
    std::exception_ptr passes;
    tolerantly(context, "a prepared transaction may not be found again across a promotion", [&] {
        try {
            if (const auto text = archive().history_text(segment->timeline, {.stop = context.stop()}))
                postgres::leave_older_names(arguments.destination, *segment,
                                            postgres::TimelineHistory::parse(segment->timeline, *text));
        } catch (const Error& error) {
            if (!error.retryable()) throw;
            passes = std::current_exception();
        }
        return true;
    });
    if (passes) std::rethrow_exception(passes);
}

// For a recovery that was planned: which log there is up to where it ends was looked at.
bool planned(const Arguments& arguments) { return !arguments.slices.empty() || !arguments.until.empty(); }

// Of `segments` from a file on: nobody has said whose log is meant.
void refuse_rivals(const postgres::WalArchive& archive, const std::string& file, std::uint64_t segment_bytes,
                   std::uint64_t segments, const std::stop_token& stop) {
    if (segment_bytes == 0) return;
    if (const auto start = postgres::parse_segment_name(file, segment_bytes))
        postgres::refuse_rivals(archive,
                                {start->timeline, start->begin, start->begin + segments * segment_bytes},
                                {.stop = stop});
}

int run_fetch(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const std::optional<postgres::Lsn> until = parse_until(arguments);
    parse_archive(arguments); // refused before anything else
    std::string ahead;
    bool found = tolerantly(context, "what was fetched ahead cannot be used", [&] {
        ahead = prefetch_directory(context, source, arguments); // a user may have no place for it
        return postgres::take_prefetched(ahead, arguments.file, arguments.destination, context.stop());
    });
    std::optional<OpenRepository> open;
    std::optional<postgres::WalArchive> opened;
    const auto archive = [&]() -> const postgres::WalArchive& {
        if (!opened) {
            open.emplace(context.open(arguments.repository));
            opened.emplace(archive_of(context, *open, arguments, source.name));
        }
        return *opened;
    };
    if (!found) {
        const std::uint64_t segment_bytes = postgres::segment_bytes_of(archive(), {.stop = context.stop()});
        if (!planned(arguments)) refuse_rivals(archive(), arguments.file, segment_bytes, 1, context.stop());
        found = segment_bytes != 0 &&
                postgres::fetch_wal_file(archive(), arguments.file, arguments.destination, segment_bytes,
                                         context.stop(), until.value_or(postgres::Lsn{}));
    }
    if (found) found = adapt_fetched(arguments);
    if (found) leave_older_names(context, arguments, archive);
    if (found) {
        tolerantly(context, "nothing is fetched ahead", [&] {
            fetch_ahead(context, arguments, ahead);
            return true;
        });
    }
    context.report({{"file", arguments.file}, {"found", found}},
                   [&] { say("{}: {}\n", arguments.file, found ? "fetched" : "not in the archive"); });
    return found ? exit_done : exit_failed;
}

int run_prefetch(CommandContext& context, const Arguments& arguments) {
    // Before the repository is opened: mostly another process has the turn.
    const auto turn = postgres::PrefetchTurn::take(arguments.destination);
    if (!turn) return exit_done;
    const SourceConfiguration source = source_named(context, arguments.source, kind);
    const OpenRepository open = context.open(arguments.repository);
    const postgres::WalArchive archive = archive_of(context, open, arguments, source.name);
    const std::uint64_t segment_bytes = postgres::segment_bytes_of(archive, {.stop = context.stop()});
    // Who asks is told why.
    if (!planned(arguments))
        refuse_rivals(archive, arguments.file, segment_bytes, looked_at_ahead, context.stop());
    postgres::prefetch_wal(
        *turn, archive, arguments.file, segment_bytes,
        {.segments = arguments.ahead, .workers = worker_count(), .while_exists = arguments.while_exists},
        context.stop());
    return exit_done;
}

} // namespace

void add_wal_fetch(CLI::App& group, RunCommand& run) {
    const auto add = [&](const char* name, const char* what, int (*body)(CommandContext&, const Arguments&)) {
        auto a = std::make_shared<Arguments>();
        CLI::App* command = group.add_subcommand(name, what);
        add_repository_option(*command, a->repository);
        command->add_option("SOURCE", a->source, "Name of the source")->required();
        command->callback(
            [a, body, &run] { run = [a, body](CommandContext& context) { return body(context, *a); }; });
        return std::pair(command, a);
    };
    const auto [fetch, from] =
        add("fetch", "Write a file of the log; for restore_command: fetch SOURCE %f %p", run_fetch);
    fetch->add_option("FILE", from->file, "Its name, as %f says")->required();
    fetch->add_option("DESTINATION", from->destination, "Where to write it, as %p says")->required();
    fetch->add_option("--archive", from->archive,
                      "The archive, as a restore has written it; default: the one that the source has now");
    fetch->add_option("--until", from->until, "The log ends at this position, whatever the archive has");
    fetch->add_option("--replace", from->replacements,
                      "A file that restore made, with what is to be replaced in the log");
    fetch->add_option("--slices", from->slices,
                      "A file that restore made, with all of the log that may be used");
    fetch->add_option("--ahead", from->ahead, "How many segments are fetched ahead; 0: none")
        ->check(CLI::Range(0U, 1024U))
        ->capture_default_str();
    const auto [prefetch, behind] = add("prefetch", "Fetch segments ahead", run_prefetch);
    prefetch->group("");
    prefetch->add_option("FILE", behind->file, "Those behind this one")->required();
    prefetch->add_option("DIRECTORY", behind->destination, "Where they wait")->required();
    prefetch->add_option("--ahead", behind->ahead, "How many");
    prefetch->add_option("--archive", behind->archive, "Of which archive");
    prefetch->add_option("--slices", behind->slices, "All that may be used");
    prefetch->add_option("--while", behind->while_exists, "Until this file is no more");
}

} // namespace holdfast
