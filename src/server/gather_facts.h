// What the watch judges: what the last look at the repository found, and what the catalog and the server
// know.
#pragma once

#include "catalog/operations.h"
#include "server/repository_view.h"
#include "watch/facts.h"

#include <memory>
#include <string>
#include <vector>

namespace holdfast {

struct KnownToServer {
    std::shared_ptr<const RepositoryView> view; // null before the first look
    std::string look_problem;                   // why the last look failed; empty: it did not
    std::vector<MeasuredSource> sources;        // that are configured
    std::string retention_waits;                // why; empty: it does not
    ServerFacts server;                         // but for its clocks
    Operations& operations;
    Catalog& catalog;
    Clock& clock;
};

// Throws what the catalog throws.
Facts gather_facts(const KnownToServer& known);

} // namespace holdfast
