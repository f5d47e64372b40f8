// What policies say of the snapshots of a repository, and doing it.
#pragma once

#include "policy/policy.h"
#include "policy/retention_forecast.h"
#include "service/annotate.h"
#include "service/stated_policies.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {
struct RecoverySource;
}

namespace holdfast {

// Tags that mean something here, whether a snapshot was made with them or a statement set them later.
inline constexpr const char* class_tag = "class";     // see policy/retention.h
inline constexpr const char* expires_tag = "expires"; // the end of its time to live, RFC 3339

// The snapshots of one source of one domain, oldest first, and what retention must know of each.
struct SourceSnapshots {
    std::string source;
    std::string domain;
    const Policy* policy = nullptr; // that covers it; null: none does
    // Why nothing of it may go, whatever the policy says; empty: nothing speaks against it.
    std::string blocked;
    std::vector<AnnotatedSnapshot> snapshots;
    std::vector<RetentionSubject> subjects;
    // By the number of each stretch of its recoverable times: the log that it lies on, and its timeline.
    struct Stretch {
        std::shared_ptr<const postgres::RecoverySource> log;
        std::uint32_t timeline = 0;
    };
    std::vector<Stretch> stretches;
    // Archives of which no log may be let go of between snapshots, and why.
    std::map<ArchiveId, std::string> staying_logs{};
};

// The same without the snapshots: what rules decide by.
struct RetentionSource {
    std::string source;
    std::string domain;
    std::string blocked;
    std::vector<RetentionSubject> subjects;
    std::optional<Policy> policy{}; // that covers it
};

// Moved, never copied: its sources point into its policies.
struct RetentionView {
    RetentionView() = default;
    RetentionView(RetentionView&&) = default;
    RetentionView& operator=(RetentionView&&) = default;

    std::vector<Policy> policies;         // in force: declared and stated
    std::vector<SourceSnapshots> sources; // by name, then domain
    // Among its damaged ones are policies that this program does not understand.
    StatementList statements;
    // What could not be read or understood; what it is about is kept.
    std::vector<std::string> problems;
    std::vector<std::string> unread; // of these, of snapshots and statements that are not among the others
    std::size_t unreadable = 0;      // commits that this key cannot read
};

// Looks at all sources, or at one, and at their log. Policies are those `declared` and those that statements
// say there are. Tags that let snapshots go count from those alone who may forget snapshots. A source for
// which policies contradict each other has none, and is blocked. Throws Error(not_found) when `source` is
// given and has no snapshot.
RetentionView view_retention(Repository& repository, const std::vector<Policy>& declared,
                             const std::optional<std::string>& source);

struct RetentionResult {
    struct Verdict {
        Snapshot snapshot;
        RetentionDecision decision;
        bool forgotten = false; // or, in a dry run, would be
    };
    struct Source {
        std::string source;
        std::string domain;
        std::string policy;
        std::string blocked;           // why nothing of it went; empty: nothing spoke against it
        std::vector<Verdict> verdicts; // oldest first
    };
    std::vector<Source> sources;        // that a policy covers
    std::vector<std::string> uncovered; // sources without a policy: nothing of them goes
    std::vector<std::string> problems;
    std::size_t policies = 0; // in force

    std::size_t forgotten() const;
};

// When rules are applied unless something else was said: each day at 01:00 UTC.
Schedule usual_enforcement();
// What goes on happening to a source under `policy` until `horizon`: its backups are made, and rules applied.
Forecast forecast_for(const Policy& policy, const std::string& source,
                      const std::vector<RetentionSubject>& subjects, Timestamp now, Timestamp horizon);

struct EnforceSettings {
    std::optional<std::string> source{}; // nothing: all
    bool dry_run = false;                // only says what would be forgotten
    // The clock is right, although nothing has been backed up for long or it leapt: see clock_check.h.
    bool trust_clock = false;
};

// Forgets what the policies, those declared and those stated, no longer keep. Their data goes with the next
// collection. What is wrong with one source is told, and keeps that source alone. Unless it is a dry run,
// throws what require_believable_clock() and require_all_statements() throw, and Error(access_denied) when
// this key may not forget; then nothing is forgotten.
RetentionResult enforce_retention(Repository& repository, const std::vector<Policy>& declared,
                                  const EnforceSettings& settings, std::stop_token stop);

} // namespace holdfast
