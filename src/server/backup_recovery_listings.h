// The routes below /v1/backup-recovery that tell what the repository has.
#pragma once

#include "api/router.h"
#include "server/repository_view.h"

namespace holdfast {

// The observer must outlive the router.
void add_backup_listing_routes(api::Router& router, const RepositoryObserver& observer);

} // namespace holdfast
