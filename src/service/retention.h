// What policies say of the snapshots of a repository, and doing it.
#pragma once

#include "policy/policy.h"
#include "policy/retention_forecast.h"
#include "service/annotate.h"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// Tags that mean something here, whether a snapshot was made with them or a statement set them later.
inline constexpr const char* class_tag = "class";     // see policy/retention.h
inline constexpr const char* expires_tag = "expires"; // the end of its time to live, RFC 3339

// The snapshots of one source of one domain, oldest first, and what retention must know of each.
struct SourceSnapshots {
    std::string source;
    std::string domain;
    const Policy* policy = nullptr; // that covers it; null: none does
    std::vector<AnnotatedSnapshot> snapshots;
    std::vector<RetentionSubject> subjects;
};

struct RetentionView {
    std::vector<SourceSnapshots> sources; // by name, then domain
    StatementList statements;
    // What could not be read or understood; what it is about is kept.
    std::vector<std::string> problems;
};

// Looks at all sources, or at one. Where a policy has a window, the log of the source is looked at, too.
// Throws Error(not_found) when `source` is given and has no snapshot, Error(usage) when policies contradict
// each other. The result points into `policies`.
RetentionView view_retention(Repository& repository, const std::vector<Policy>& policies,
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
        std::vector<Verdict> verdicts; // oldest first
    };
    std::vector<Source> sources;        // that a policy covers
    std::vector<std::string> uncovered; // sources without a policy: nothing of them goes
    std::vector<std::string> problems;

    std::size_t forgotten() const;
};

// Forgets what the policies no longer keep, or with `dry_run` says what would be forgotten. Their data goes
// with the next collection. Throws what require_believable_clock() throws, and forgets nothing, unless it is
// a dry run.
RetentionResult enforce_retention(Repository& repository, const std::vector<Policy>& policies,
                                  const std::optional<std::string>& source, bool dry_run,
                                  std::stop_token stop);

} // namespace holdfast
