#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/wal_fetch.h"
#include "cli/commands/wal_verify.h"
#include "cli/say.h"
#include "cli/text.h"
#include "postgres/archive/wal_push.h"
#include "postgres/receive/receive_wal.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct PushArguments {
    std::string repository, source, path;
    unsigned batch = 64;
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

int run_push(CommandContext& context, const PushArguments& arguments) {
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
            say("{}: {}\n", file.name, to_word(file.outcome));
    });
    // What is asked for is durable all the same: an error would only make PostgreSQL ask for it again.
    for (const std::string& alarm : report.alarms) say(stderr, "holdfast: {}\n", alarm);
    return exit_done;
}

void add_push(CLI::App& group, RunCommand& run) {
    auto a = std::make_shared<PushArguments>();
    CLI::App* command =
        group.add_subcommand("push", "Store a file of the log; for archive_command: push SOURCE %p");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source")->required();
    command->add_option("PATH", a->path, "The file, as %p says")->required();
    command->add_option("--batch", a->batch, "How many files that wait behind it are stored with it")
        ->check(CLI::Range(1U, 4096U))
        ->capture_default_str();
    command->add_flag("--new-cluster", a->new_cluster,
                      "Another cluster has taken the place of the one that the source was");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_push(context, *a); }; });
}

// Each needs memory for two slices.
constexpr unsigned most_receive_workers = 4;

constexpr const char* in_repository = "repository";
constexpr const char* in_spool = "spool";

struct ReceiveArguments {
    std::string repository, source, slot;
    std::string spool_limit = "8G";
    std::string application_name = "holdfast";
    std::optional<double> flush_seconds;
    double stop_grace_seconds = 30;
    bool create_slot = false;
    std::string synchronous;
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
    if (arguments.synchronous == in_spool) settings.synchronous = postgres::Synchronous::spool;
    if (arguments.synchronous == in_repository) settings.synchronous = postgres::Synchronous::repository;
    settings.new_cluster = arguments.new_cluster;
    settings.stop_grace = from_seconds(arguments.stop_grace_seconds);
    settings.shipping.workers = std::min(worker_count(), most_receive_workers);
    if (source.compression_level != 0)
        settings.shipping.compression_level = static_cast<int>(source.compression_level);
    // One piece at a time: with two, a host that is lost may leave the second in the archive without the
    // first.
    if (settings.synchronous == postgres::Synchronous::repository) settings.shipping.flush_interval = {};
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
    const auto [last, all_stored] = postgres::receive_wal(open, settings, context.logger(), context.stop());
    if (!context.json() && !context.options().quiet) {
        say("received up to {}, archived up to {}\n", last.received.lsn ? last.received.str() : "nothing",
            last.archived.lsn ? last.archived.str() : "nothing");
    }
    return all_stored ? exit_done : exit_incomplete;
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
                     "--synchronous: 0, with --synchronous=spool: 5)")
        ->check(CLI::Range(0.0, 3600.0));
    command->add_option("--spool-limit", a->spool_limit, "How much may wait on this machine, such as 8G")
        ->capture_default_str();
    command
        ->add_flag("--synchronous{repository}", a->synchronous,
                   "As a synchronous standby, acknowledge only what the repository has, and at once; "
                   "--synchronous=spool: what is durable in the spool counts as written, for "
                   "synchronous_commit = remote_write")
        ->check(CLI::IsMember({in_repository, in_spool}));
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
    add_push(*group, run);
    add_wal_fetch(*group, run);
    add_receive(*group, run);
    add_wal_verify(*group, run);
}

} // namespace holdfast
