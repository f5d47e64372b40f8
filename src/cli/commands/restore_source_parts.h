// What 'restore SOURCE' is put together from.
#pragma once

#include "cli/commands/restore_source.h"
#include "service/protect_restored.h"
#include "service/restore_ladder.h"
#include "service/restore_postgres.h"

#include <map>
#include <optional>

namespace holdfast {

// What was asked for. Throws Error(usage) for what cannot be.
PostgresRestore make_restore_request(const CommandContext& context, Repository& repository,
                                     const SourceRestoreTarget& target, const SourceRestoreOptions& options);

// A recovered cluster that is a source of its own now.
struct ProtectedSource {
    std::string section;            // of holdfast.toml
    std::string configuration_file; // that has it; empty: it is only printed
    postgres::SetupReport setup;
    Snapshot snapshot;
    std::vector<postgres::Check> checks; // of it, once it was there
    std::vector<std::string> receive;    // the words of the command that receives its log
};

// All that a command did.
struct SourceRestoreReport {
    LadderResult ladder; // the steps alone, unless --ladder was said
    std::optional<PostgresRestoreResult> result;
    std::string protected_as;
    std::optional<ProtectedSource> protect;
    std::vector<std::string> problems; // behind the restore itself
    std::string creator;
    std::map<std::string, std::string> tags;
    std::optional<Timestamp> expires;
};

// What will be used, of a restore that has only been planned, and what came of one.
nlohmann::json plan_json(const SourceRestoreTarget& target, const PostgresRestoreResult& plan);
nlohmann::json report_json(const SourceRestoreTarget& target, const SourceRestoreReport& report);

// As people read it: what will be used, before anything is written.
void print_plan(const nlohmann::json& value);
// What came of it, behind that.
void print_report(const nlohmann::json& value);
// How the recovered cluster is protected now.
void print_protection(const ProtectedSource& protect, const std::string& name);

} // namespace holdfast
