// The routes that tell what the repository has.
#pragma once

#include "api/router.h"
#include "server/repository_view.h"

namespace holdfast {

// /v1/snapshots, /v1/sources and /v1/status. The observer must outlive the router.
void add_repository_routes(api::Router& router, const RepositoryObserver& observer);
// What of /v1/backup-recovery asks for the same.
void add_backup_listing_routes(api::Router& router, const RepositoryObserver& observer);

} // namespace holdfast
