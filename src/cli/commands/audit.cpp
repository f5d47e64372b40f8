// The audit trail of the server, and the list of backups that auditors ask for.
#include "catalog/audit.h"

#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/text.h"
#include "service/annotate.h"
#include "service/audit_heads.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string what = "trail";
    std::string format = "csv";
};

constexpr double gigabyte = 1e9;

// An empty catalog that this would make has no trail to look at.
Catalog open_catalog(CommandContext& context) {
    const ServerSettings settings = server_settings(context.configuration());
    const std::string url = settings.catalog_url();
    constexpr std::string_view file = "sqlite:";
    if (url.starts_with(file) && !std::filesystem::exists(url.substr(file.size())))
        throw Error(ErrorCode::not_found, fmt::format("there is no catalog at {}", url.substr(file.size())),
                    "name the server's state_directory below [server], or its configuration with --config");
    return {url, context.logger()};
}

int run_verify(CommandContext& context, const Arguments& arguments) {
    Catalog catalog = open_catalog(context);
    Audit audit(catalog, system_clock());
    const OpenRepository open = context.open(arguments.repository);
    const StatementList statements = list_statements(open.repository->context());
    const std::vector<AuditHead> heads = kept_audit_heads(statements.statements, audit.first_digest());
    const std::set<std::string> others = other_trails(statements.statements, audit.first_digest());
    const AuditCheck check = audit.verify(heads);
    const bool intact = check.problems.empty();
    const nlohmann::json value = {{"intact", intact},
                                  {"entries", check.entries},
                                  {"head", {{"number", check.head.number}, {"digest", check.head.digest}}},
                                  {"heads_compared", heads.size()},
                                  {"other_trails", others},
                                  {"problems", check.problems}};
    context.print(value, [&] {
        fmt::print("{} of the audit trail, {} kept in the repository: {}\n",
                   check.entries == 1 ? "1 entry" : fmt::format("{} entries", check.entries),
                   heads.size() == 1 ? "1 head" : fmt::format("{} heads", heads.size()),
                   intact ? "all fit" : "THEY DO NOT FIT");
        for (const std::string& problem : check.problems) fmt::print("  {}\n", problem);
        if (!others.empty())
            fmt::print(
                "The repository has heads of {} that is not here: a catalog was lost, made anew, or its "
                "trail written anew\n",
                counted(others.size(), "other trail"));
    });
    if (!intact) return exit_failed;
    return others.empty() ? exit_done : exit_incomplete;
}

// RFC 4180; and nothing that a spreadsheet would take for a formula.
std::string csv_field(std::string text) {
    if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos)
        text.insert(text.begin(), '\'');
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

void print_csv(const std::vector<std::string>& fields) {
    std::vector<std::string> quoted;
    for (const std::string& field : fields) quoted.push_back(csv_field(field));
    fmt::print("{}\n", fmt::join(quoted, ","));
}

void print_json(const nlohmann::json& value) {
    fmt::print("{}\n", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int export_trail(CommandContext& context, bool csv) {
    Catalog catalog = open_catalog(context);
    Audit audit(catalog, system_clock());
    if (csv) print_csv({"NUMBER", "TIME", "ACTOR", "ACTION", "OBJECT", "DETAILS", "DIGEST"});
    audit.read(1, [&](const AuditEntry& entry) {
        const std::string time = to_rfc3339(entry.time);
        if (csv) {
            print_csv({std::to_string(entry.number), time, entry.actor, entry.action, entry.object,
                       entry.details, entry.digest});
        } else {
            print_json({{"number", entry.number},
                        {"time", time},
                        {"actor", entry.actor},
                        {"action", entry.action},
                        {"object", entry.object},
                        {"details", nlohmann::json::parse(entry.details, nullptr, false)},
                        {"digest", entry.digest}});
        }
        return !context.stop().stop_requested();
    });
    return exit_done;
}

std::string verified_text(const Standing& standing) {
    if (standing.verifications.empty()) return "never";
    const Statement& last = standing.verifications.back();
    return fmt::format("{} {}", last.value.value_or(""), to_rfc3339(last.time));
}

std::string notes_of(const Standing& standing) {
    std::string notes;
    for (const Statement& hold : standing.holds) notes += fmt::format("held: {}; ", hold.name);
    for (const auto& [name, value] : standing.tags) notes += fmt::format("{}={}; ", name, value);
    if (!notes.empty()) notes.resize(notes.size() - 2);
    return notes;
}

int export_snapshots(CommandContext& context, const std::string& repository, bool csv) {
    const OpenRepository open = context.open(repository);
    const AnnotatedList list = list_annotated(*open.repository);
    if (csv) print_csv({"DATE", "SNAPSHOT_ID", "TYPE", "STATUS", "SIZE_GB", "VERIFIED", "NOTES"});
    for (const auto& [snapshot, standing] : list.snapshots) {
        const std::string size = fmt::format("{:.3f}", static_cast<double>(snapshot.totals.bytes) / gigabyte);
        const std::vector<std::string> row = {to_rfc3339(snapshot.end),
                                              snapshot.id.hex(),
                                              snapshot.kind,
                                              std::string(to_string(snapshot.state)),
                                              size,
                                              verified_text(standing),
                                              notes_of(standing)};
        if (csv) {
            print_csv(row);
        } else {
            print_json({{"date", row[0]},
                        {"snapshot_id", row[1]},
                        {"type", row[2]},
                        {"status", row[3]},
                        {"size_gb", static_cast<double>(snapshot.totals.bytes) / gigabyte},
                        {"verified", row[5]},
                        {"notes", row[6]}});
        }
    }
    for (const std::string& problem : list.problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return list.problems.empty() && list.unreadable == 0 ? exit_done : exit_incomplete;
}

int run_export(CommandContext& context, const Arguments& arguments) {
    const bool csv = arguments.format == "csv" && !context.json();
    return arguments.what == "trail" ? export_trail(context, csv)
                                     : export_snapshots(context, arguments.repository, csv);
}

} // namespace

void add_audit(CLI::App& app, RunCommand& run) {
    CLI::App* audit = app.add_subcommand("audit", "The trail of what was done on a server, and by whom");
    audit->require_subcommand(1);
    auto a = std::make_shared<Arguments>();
    CLI::App* verify = audit->add_subcommand(
        "verify", "Follow the chain of the trail, and compare it with the heads that the repository keeps");
    add_repository_option(*verify, a->repository);
    verify->callback([a, &run] { run = [a](CommandContext& context) { return run_verify(context, *a); }; });
    CLI::App* write =
        audit->add_subcommand("export", "Write the trail, or the list of backups, for auditors");
    add_repository_option(*write, a->repository);
    write->add_option("--what", a->what, "The trail, or the snapshots")
        ->check(CLI::IsMember({"trail", "snapshots"}))
        ->capture_default_str();
    write->add_option("--format", a->format, "csv, or json: an object on each line")
        ->check(CLI::IsMember({"csv", "json"}))
        ->capture_default_str();
    write->callback([a, &run] { run = [a](CommandContext& context) { return run_export(context, *a); }; });
}

} // namespace holdfast
