#include "postgres/server/doctor.h"

#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/say.h"
#include "postgres/archive/same_cluster.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/receive/receive_wal.h"
#include "postgres/server/setup.h"
#include "service/examine_repository.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source;
    std::string connection, role = "holdfast", slot = "holdfast", archive_command, slot_limit = "auto";
    bool dry_run = false;
};

SourceConfiguration configured(const CommandContext& context, const std::string& name) {
    const SourceConfiguration source = source_named(context, name, "postgresql");
    if (!source.connection.empty()) return source;
    throw Error(ErrorCode::usage, fmt::format("how to connect to source '{}' is not known", name),
                fmt::format("set connection below [source.{}] in holdfast.toml", name));
}

postgres::Check failed(const char* name, const Error& error) {
    return {name, postgres::CheckState::failed, error.message(),
            error.hint().empty() ? "see what the message names, and look again" : error.hint()};
}

// Where what waits on this machine is.
void examine_places(CommandContext& context, const SourceConfiguration& source, const std::string& repository,
                    std::vector<postgres::Check>& checks) {
    try {
        const std::string spool = spool_directory_of(context, source, repository);
        std::ranges::move(examine_spool(spool, postgres::receive_state_path(spool), system_clock().now()),
                          std::back_inserter(checks));
    } catch (const Error& error) {
        checks.push_back(failed("spool", error));
    }
}

std::vector<postgres::Check> examine(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = configured(context, arguments.source);
    std::optional<OpenRepository> open;
    postgres::Check reachable{
        .name = "repository", .state = postgres::CheckState::ok, .found = {}, .mend = {}};
    try {
        open = context.open(arguments.repository);
        reachable.found = open->repository->store().url();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        reachable = failed("repository", error);
    }
    postgres::DoctorRequest request;
    request.connection.conninfo = source.connection;
    if (!source.data_directory.empty()) request.data_directory = source.data_directory;
    request.slot = source.slot;
    request.streams = !source.slot.empty();
    request.archives = source.slot.empty();
    if (open)
        request.expect_cluster = [&](std::uint64_t system_identifier) {
            const Repository& repository = *open->repository;
            postgres::expect_same_cluster(
                repository, source.name,
                postgres::wal_archive_id(repository.keys(), source.name, system_identifier));
        };
    std::vector<postgres::Check> checks =
        postgres::examine_server(request, system_clock(), context.logger(), context.stop());
    checks.push_back(reachable);
    if (open)
        std::ranges::move(examine_repository(*open->repository, context.stop()), std::back_inserter(checks));
    examine_places(context, source, arguments.repository, checks);
    return checks;
}

int run_doctor(CommandContext& context, const Arguments& arguments) {
    const std::vector<postgres::Check> checks = examine(context, arguments);
    nlohmann::json value = nlohmann::json::array();
    for (const postgres::Check& check : checks)
        value.push_back({{"check", check.name},
                         {"state", to_string(check.state)},
                         {"found", check.found},
                         {"mend", check.mend}});
    context.print(value, [&] {
        for (const postgres::Check& check : checks) {
            say("{:<8} {:<26} {}\n", to_string(check.state), check.name, check.found);
            if (!check.mend.empty()) say("{:<8} {:<26} mend: {}\n", "", "", check.mend);
        }
    });
    const bool failed = std::ranges::any_of(
        checks, [](const postgres::Check& check) { return check.state == postgres::CheckState::failed; });
    return failed ? exit_failed : exit_done;
}

// As PostgreSQL has sizes. What is wrong with it; empty: nothing.
std::string is_slot_limit(const std::string& value) {
    if (value == "auto" || value == "keep") return {};
    const std::size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
    const std::string unit = value.substr(digits);
    if (digits > 0 && (unit == "kB" || unit == "MB" || unit == "GB" || unit == "TB")) return {};
    return "--slot-limit: '" + value + "' is neither a size such as 50GB, nor auto or keep";
}

int run_setup(CommandContext& context, const Arguments& arguments) {
    postgres::SetupRequest request;
    request.connection.conninfo = arguments.connection;
    request.role = arguments.role;
    request.slot = arguments.slot;
    if (!arguments.archive_command.empty()) request.archive_command = arguments.archive_command;
    request.limits_slots = arguments.slot_limit == "auto";
    if (arguments.slot_limit != "auto" && arguments.slot_limit != "keep")
        request.max_slot_wal_keep_size = arguments.slot_limit;
    request.dry_run = arguments.dry_run;
    const postgres::SetupReport report = postgres::set_up_server(request, context.logger(), context.stop());
    nlohmann::json steps = nlohmann::json::array();
    bool all = true;
    for (const postgres::SetupStep& step : report.steps) {
        steps.push_back({{"what", step.what},
                         {"state", to_string(step.state)},
                         {"sql", step.sql},
                         {"remark", step.remark}});
        all =
            all && step.state != postgres::SetupState::refused && step.state != postgres::SetupState::by_hand;
    }
    context.report(
        {{"steps", steps}, {"restart_for", report.restart_for}},
        [&] {
            for (const postgres::SetupStep& step : report.steps) {
                say("{:<8} {}{}{}\n", to_string(step.state), step.what, step.sql.empty() ? "" : ": ",
                    step.sql);
                if (!step.remark.empty()) say("{:<8} {}\n", "", step.remark);
            }
            if (!report.restart_for.empty())
                say("Restart the server for: {}\n", fmt::join(report.restart_for, ", "));
        },
        arguments.dry_run);
    return all ? exit_done : exit_incomplete;
}

} // namespace

void add_doctor(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("doctor", "Check all that protecting a PostgreSQL source needs");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source in holdfast.toml")->required();
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_doctor(context, *a); }; });
}

void add_setup(CLI::App& app, RunCommand& run) {
    CLI::App* group = app.add_subcommand("setup", "Make a server ready to be protected");
    group->require_subcommand(1);
    auto a = std::make_shared<Arguments>();
    CLI::App* command = group->add_subcommand("postgresql", "Role, replication slot and settings");
    command->add_option("--connection", a->connection, "As an administrator, as libpq takes it")->required();
    command->add_option("--role", a->role, "The role that Holdfast connects as")->capture_default_str();
    command->add_option("--slot", a->slot, "The slot that the log is received through")
        ->capture_default_str();
    command
        ->add_option("--slot-limit", a->slot_limit,
                     "How much log slots may keep, such as 50GB; auto: half of what is free on the server's "
                     "disk, unless a limit is set; keep: as it is")
        ->check(is_slot_limit)
        ->capture_default_str();
    command->add_option("--archive-command", a->archive_command, "Set archive_command to this");
    command->add_flag("--dry-run", a->dry_run, "Say what would be done, and do nothing");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_setup(context, *a); }; });
}

} // namespace holdfast
