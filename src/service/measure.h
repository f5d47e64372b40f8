// What is so, measured: of each source what can be recovered, how old its backups are, what would be lost.
#pragma once

#include "postgres/receive/receive_state.h"
#include "postgres/recovery/recovery_window.h"
#include "repository/repository.h"
#include "service/exposure.h"
#include "service/retention.h"
#include "watch/facts.h"

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// A source that is protected from here.
struct MeasuredSource {
    std::string name;
    std::string kind;
    std::string connection{};     // of PostgreSQL: for what is not stored yet; empty: not asked
    std::string data_directory{}; // of the same, where it can be read from here; empty: it cannot
    std::string receive_state{};  // where a receiver on this machine reports; empty: nowhere
    std::string slot{};           // that its log is to be received through; empty: none is said
};

struct MeasureSettings {
    std::vector<MeasuredSource> sources{};
    bool estimate_recovery = false; // reads a little of each log
};

struct SourceMeasurement {
    SourceFacts facts;
    std::size_t snapshots = 0;
    std::string exposure_unknown{}; // why the exposure is not known; empty: it is, or was not asked for
    // Of a source with a log, when that could be looked at; else `notes` say why not.
    std::optional<postgres::RecoveryWindow> window{};
    std::optional<Exposure> exposure{}; // of one whose server can be asked
    std::optional<postgres::ReceiveState> receiver{};
    std::optional<double> estimated_recovery_seconds{}; // to the newest moment
    std::vector<std::string> notes{};                   // what could not be measured, and why
};

struct ProtectionStatus {
    std::vector<SourceMeasurement> sources; // by name: those that are named, and those of the repository
    RepositoryFacts repository;
    std::vector<AnnotatedSnapshot> snapshots; // newest first
    StatementList statements;
    std::vector<RetentionSource> retention; // what rules decide by
    std::vector<std::string> problems;      // what could not be read or understood …
    std::vector<std::string> unread;        // … and of it snapshots and statements that are not listed
    std::size_t unreadable = 0;             // snapshots that this key cannot read

    // As rules take them. What the catalog and the server know is not in them.
    Facts facts(Timestamp at) const;
};

// Looks at the repository, and asks the servers. Policies are those `declared` and those that statements say
// there are. What is wrong with one source is told with it, and the others are measured. Throws what listing
// the repository throws, and Error(cancelled).
ProtectionStatus measure(Repository& repository, const std::vector<Policy>& declared,
                         const MeasureSettings& settings, const std::stop_token& stop);

} // namespace holdfast
