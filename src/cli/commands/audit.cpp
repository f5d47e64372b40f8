// The audit trail of the server, and the list of backups that auditors ask for.
#include "catalog/audit.h"

#include "base/error.h"
#include "base/json_text.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/fields.h"
#include "cli/problems.h"
#include "cli/say.h"
#include "cli/text.h"
#include "client/api_client.h"
#include "service/annotate.h"
#include "service/audit_heads.h"
#include "service/snapshot_json.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

using nlohmann::json;

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

int tell_check(CommandContext& context, const json& value) {
    const bool intact = flag_in(value, "intact");
    const std::size_t others = list_in(value, "other_trails").size();
    context.print(value, [&] {
        const std::string heads = has(value, "heads_compared")
                                      ? fmt::format(", {} kept in the repository",
                                                    counted(number_in(value, "heads_compared"), "head"))
                                      : "";
        say("{} of the audit trail{}: {}\n", counted(number_in(value, "entries"), "entry", "entries"), heads,
            intact ? "all fit" : "THEY DO NOT FIT");
        for (const std::string& problem : texts_in(value, "problems")) say("  {}\n", problem);
        if (others > 0)
            say("The repository has heads of {} that is not here: a catalog was lost, made anew, or its "
                "trail written anew\n",
                counted(others, "other trail"));
    });
    if (!intact) return exit_failed;
    return others == 0 ? exit_done : exit_incomplete;
}

int run_verify(CommandContext& context, const Arguments& arguments) {
    Catalog catalog = open_catalog(context);
    Audit audit(catalog, system_clock());
    const OpenRepository open = context.open(arguments.repository);
    return tell_check(context, verify_trail(audit, list_statements(open.repository->context()).statements));
}

int verify_at_server(CommandContext& context) {
    return tell_check(context, context.api().get("/v1/audit/verify"));
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

void print_json(const json& value) { fmt::print("{}\n", json_text(value)); }

constexpr std::array trail_columns{"NUMBER", "TIME", "ACTOR", "ACTION", "OBJECT", "DETAILS", "DIGEST"};
constexpr std::array snapshot_columns{"DATE",    "SNAPSHOT_ID", "TYPE", "STATUS",
                                      "SIZE_GB", "VERIFIED",    "NOTES"};

// A line of the trail; an entry as the API has it. `details` as the digest is over them.
void print_entry(const json& entry, const std::string& details, bool csv) {
    if (!csv) return print_json(entry);
    print_csv({std::to_string(number_in(entry, "number")), text_in(entry, "time"), text_in(entry, "actor"),
               text_in(entry, "action"), text_in(entry, "object"), details, text_in(entry, "digest")});
}

int export_trail(CommandContext& context, bool csv) {
    Catalog catalog = open_catalog(context);
    Audit audit(catalog, system_clock());
    if (csv) print_csv({trail_columns.begin(), trail_columns.end()});
    audit.read(1, [&](const AuditEntry& entry) {
        print_entry({{"number", entry.number},
                     {"time", to_rfc3339(entry.time)},
                     {"actor", entry.actor},
                     {"action", entry.action},
                     {"object", entry.object},
                     {"details", json::parse(entry.details, nullptr, false)},
                     {"digest", entry.digest}},
                    entry.details, csv);
        return !context.stop().stop_requested();
    });
    return exit_done;
}

std::string verified_text(const json& snapshot) {
    const json& last = list_in(snapshot, "verified");
    return last.empty() ? "never" : fmt::format("{} {}", text_in(last, "result"), text_in(last, "time"));
}

std::string notes_of(const json& snapshot) {
    std::vector<std::string> notes;
    for (const std::string& hold : texts_in(snapshot, "holds")) notes.push_back("held: " + hold);
    for (const auto& [name, value] : list_in(snapshot, "tags").items())
        notes.push_back(fmt::format("{}={}", name, value.get<std::string>()));
    return fmt::format("{}", fmt::join(notes, "; "));
}

// A line of the list of backups; a snapshot as the API has it.
void print_snapshot(const json& snapshot, bool csv) {
    const double size = static_cast<double>(number_in(snapshot, "size_bytes")) / gigabyte;
    if (csv) {
        print_csv({text_in(snapshot, "end"), text_in(snapshot, "id"), text_in(snapshot, "kind"),
                   text_in(snapshot, "state"), fmt::format("{:.3f}", size), verified_text(snapshot),
                   notes_of(snapshot)});
    } else {
        print_json({{"date", text_in(snapshot, "end")},
                    {"snapshot_id", text_in(snapshot, "id")},
                    {"type", text_in(snapshot, "kind")},
                    {"status", text_in(snapshot, "state")},
                    {"size_gb", size},
                    {"verified", verified_text(snapshot)},
                    {"notes", notes_of(snapshot)}});
    }
}

int export_snapshots(CommandContext& context, const std::string& repository, bool csv) {
    const OpenRepository open = context.open(repository);
    const AnnotatedList list = list_annotated(*open.repository);
    if (csv) print_csv({snapshot_columns.begin(), snapshot_columns.end()});
    for (const AnnotatedSnapshot& one : list.snapshots) print_snapshot(to_json(one), csv);
    const int code = tell_problems(context, list.problems);
    return list.unreadable == 0 ? code : exit_incomplete;
}

bool wants_csv(const CommandContext& context, const Arguments& arguments) {
    return arguments.format == "csv" && !context.json();
}

int run_export(CommandContext& context, const Arguments& arguments) {
    const bool csv = wants_csv(context, arguments);
    return arguments.what == "trail" ? export_trail(context, csv)
                                     : export_snapshots(context, arguments.repository, csv);
}

std::string details_text(const json& entry) {
    const auto found = entry.find("details");
    if (found == entry.end() || found->is_string()) return text_in(entry, "details");
    return json_text(*found);
}

int export_at_server(CommandContext& context, const Arguments& arguments) {
    const bool csv = wants_csv(context, arguments);
    if (arguments.what == "trail") {
        if (csv) print_csv({trail_columns.begin(), trail_columns.end()});
        context.api().each("/v1/audit", {}, [&](const json& entry) {
            print_entry(entry, details_text(entry), csv);
            return true;
        });
        return exit_done;
    }
    // Oldest first, as here; the API has the newest first.
    std::vector<json> snapshots;
    std::uint64_t unreadable = 0;
    std::vector<std::string> problems;
    context.api().each_part("/v1/snapshots", {}, [&](const json& part) {
        snapshots.insert(snapshots.end(), part["items"].begin(), part["items"].end());
        unreadable = number_in(part, "unreadable");
        problems = texts_in(part, "problems");
        return true;
    });
    std::ranges::reverse(snapshots);
    if (csv) print_csv({snapshot_columns.begin(), snapshot_columns.end()});
    for (const json& snapshot : snapshots) print_snapshot(snapshot, csv);
    const int code = tell_problems(context, problems);
    return unreadable == 0 ? code : exit_incomplete;
}

} // namespace

void add_audit(CLI::App& app, RunCommand& run) {
    CLI::App* audit = app.add_subcommand("audit", "The trail of what was done on a server, and by whom");
    audit->require_subcommand(1);
    auto a = std::make_shared<Arguments>();
    CLI::App* verify = audit->add_subcommand(
        "verify", "Follow the chain of the trail, and compare it with the heads that the repository keeps");
    add_repository_option(*verify, a->repository);
    verify->callback([a, &run] {
        run = [a](CommandContext& context) { return run_verify(context, *a); };
        run.at_server = verify_at_server;
    });
    CLI::App* write =
        audit->add_subcommand("export", "Write the trail, or the list of backups, for auditors");
    add_repository_option(*write, a->repository);
    write->add_option("--what", a->what, "The trail, or the snapshots")
        ->check(CLI::IsMember({"trail", "snapshots"}))
        ->capture_default_str();
    write->add_option("--format", a->format, "csv, or json: an object on each line")
        ->check(CLI::IsMember({"csv", "json"}))
        ->capture_default_str();
    write->callback([a, &run] {
        run = [a](CommandContext& context) { return run_export(context, *a); };
        run.at_server = [a](CommandContext& context) { return export_at_server(context, *a); };
    });
}

} // namespace holdfast
