// The routes of snapshots: what they are, what is said of them, and their end.
#pragma once

#include "api/routes/routes.h"
#include "server/repository_desk.h"
#include "server/repository_view.h"
#include "server/snapshot_fates.h"

#include <functional>

namespace holdfast {

struct SnapshotServices {
    RepositoryObserver& observer;
    RepositoryDesk& desk;
    SnapshotFates& fates;
    const api::RouteServices& api;
    std::function<std::vector<Policy>()> declared; // policies of the file
    // Called when something was said in the repository, so that it is looked at again soon.
    std::function<void()> changed;
};

// /v1/snapshots and what is below it, /v1/forgets, /v1/holds and /v1/retention/forecast. What `services`
// refers to must outlive the router.
void add_snapshot_routes(api::Router& router, const SnapshotServices& services);

// The snapshot that an id, or the beginning of one, means. Throws Error(not_found), Error(usage) when it is
// the beginning of several.
const AnnotatedSnapshot& find_snapshot(const RepositoryView& view, const std::string& id);
// The request of /v1/snapshots/{id} or below it with the whole id of the snapshot that it means now. Throws
// the same, and what require_view() throws.
api::Request with_whole_id(const api::Call& call, const RepositoryObserver& observer);

} // namespace holdfast
