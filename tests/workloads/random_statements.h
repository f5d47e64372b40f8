// SQL by chance: what sessions do to a cluster, from a seed.
#pragma once

#include "base/random.h"

#include <string>
#include <vector>

namespace holdfast::workloads {

struct StatementChoice {
    int version = 15; // of the server
    // More lively, and what locks whole databases: for the one session that may.
    bool databases = false;
    std::string name; // of the session, for what must be its own
};

// Makes the tables and indexes that all workloads share: one of more than 16 MiB, as is one of its indexes,
// so that its pages are told apart.
std::vector<std::string> first_statements();

// The next few statements of a session, to be run one after the other; one that fails ends them. Some leave a
// prepared transaction behind, none leaves one open.
std::vector<std::string> random_statements(Random& random, const StatementChoice& choice);

} // namespace holdfast::workloads
