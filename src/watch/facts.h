// What was measured at one time: plain data, from which rules, metrics and reports are made.
//
// A member that is absent was not measured, or does not apply; `known` says which. What is not known neither
// raises nor ends an alert.
#pragma once

#include "catalog/operations.h"
#include "policy/policy.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct BackupFacts {
    Timestamp time{};
    bool good = true;              // whole; not one that left something out
    std::string type{};            // "full", "incremental" …
    std::uint64_t bytes = 0;       // of what it holds
    std::uint64_t added_bytes = 0; // that it stored
    std::optional<Duration> took{};
};

// A stretch of time that cannot be restored although what is around it can.
struct GapFacts {
    Timestamp from{}, to{};
};

struct ReceiverFacts {
    std::string name{};
    std::optional<Timestamp> last_seen{};   // nothing: never
    std::optional<Timestamp> asked_since{}; // since when somebody has looked for it; Watch fills it in
};

struct VerificationFacts {
    Timestamp time{};
    bool good = true;
    std::string problem{}; // what was found, in a line
};

// The newest operation of a kind, and the newest that succeeded.
struct OperationFacts {
    OperationState state = OperationState::queued;
    Timestamp created{};
    std::optional<Timestamp> started{}, ended{};
    std::string id{};
    std::string error_code{}; // as to_string(ErrorCode) has it; empty unless it failed
    std::string error{};      // its message
    std::optional<Timestamp> last_success{};
    std::optional<Duration> last_success_took{};
};

struct SourceFacts {
    std::string source{};
    std::string kind{};   // "postgresql", "documents"; empty: not known
    std::string policy{}; // that covers it; empty: none
    Objectives objectives{};
    // Whether backups of it are expected at all; one that is merely still in the repository needs none.
    bool backups_expected = true;
    std::optional<Timestamp> expected_since{}; // when it was first heard of; Watch fills it in
    // Whether the repository could be asked; if not, `backups`, the window and `retention_blocked` may be old
    // or empty.
    bool known = true;

    std::vector<BackupFacts> backups{}; // oldest first, as far back as sizes are compared
    std::optional<double> exposure_seconds{};
    std::optional<Timestamp> window_start{}, window_end{};
    std::vector<GapFacts> gaps{};
    bool log_known = true;                   // whether the two above tell what there is
    std::optional<ReceiverFacts> receiver{}; // nothing: it needs none
    std::optional<VerificationFacts> verification{};
    // That the last restore took which also started a server: from its begin until it could be used.
    std::optional<double> recovery_seconds{};
    std::string retention_blocked{};                    // why; empty: it is not
    std::map<std::string, OperationFacts> operations{}; // by kind: "backup", "verify" …

    const BackupFacts* newest() const;
    const BackupFacts* newest_good() const;
};

struct StoragePoint {
    Timestamp time{};
    std::uint64_t bytes = 0;
};

struct RepositoryFacts {
    std::string name{}; // no secret in it: it is shown
    bool reachable = true;
    std::string problem{}; // when it is not
    std::optional<std::uint64_t> bytes{};
    std::vector<StoragePoint> history{}; // of its bytes, oldest first; Watch fills it in when it is empty
    // Of the disk that it is on; nothing in a bucket.
    std::optional<std::uint64_t> free_bytes{}, capacity_bytes{};
    std::map<std::string, OperationFacts> operations{}; // on all of it, by kind: "retention", "prune"
};

struct ServerFacts {
    std::string name{};
    // How far its clock is ahead of the others, in seconds; nothing where it could not be compared.
    std::optional<double> store_clock_offset_seconds{}, database_clock_offset_seconds{};
    bool clock_compared = true; // whether all of them were asked since it was started
    // Why its clock is not to be believed, by what was remembered of it; empty: nothing speaks against it.
    std::optional<std::string> clock_doubt{};
    std::optional<Timestamp> certificate_end{};
    std::string catalog{}; // "sqlite", "postgresql"
    // Of the monitor; Watch fills these in.
    std::optional<Timestamp> last_round{};
    std::optional<Duration> last_round_took{};
    std::string round_problem{}; // why the last one failed; empty: it did not
    Duration round_limit{};      // how old the last round may be; zero: nobody has said
};

// How a channel does; Watch fills it in.
struct ChannelFacts {
    std::string name{};
    std::int64_t waiting = 0;         // notices that are due or will be again
    std::int64_t failed_in_a_row = 0; // attempts since the last success
    std::optional<Timestamp> last_success{}, last_failure{};
    std::string last_error{};
};

// How far a checklist is.
struct ChecklistFacts {
    std::string name{};
    std::int64_t due = 0;              // items that nobody has seen to yet
    std::vector<std::string> missed{}; // of these, those that were not seen to in the period before either
};

struct Facts {
    Timestamp at{};
    std::vector<SourceFacts> sources{};
    std::vector<RepositoryFacts> repositories{};
    std::vector<ServerFacts> servers{};
    std::vector<ChannelFacts> channels{};
    std::vector<ChecklistFacts> checklists{};
    std::map<OperationState, std::int64_t> operations{}; // how many are in each state
    // Whether these are all sources and repositories that there are: then alerts about others end.
    bool complete = true;
};

// What the catalog knows of the operations of `source`: of each kind the newest that is over or under way,
// and the newest success. Throws what the catalog throws.
std::map<std::string, OperationFacts> operation_facts(Operations& operations, const std::string& source);
// The same of those that are about a repository and no source in particular; trials do not count.
std::map<std::string, OperationFacts> repository_operation_facts(Operations& operations);
// What the phases took of a restore that also started a server, by its `result`; nothing for another.
std::optional<double> recovery_seconds_of(std::string_view result);

} // namespace holdfast
