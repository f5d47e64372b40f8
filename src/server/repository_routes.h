// The routes that tell what the repository has, and what of each source can be recovered.
#pragma once

#include "api/router.h"
#include "server/repository_desk.h"
#include "server/repository_view.h"

namespace holdfast {

// /v1/sources and what is below it, and /v1/repository. Observer and desk must outlive the router.
void add_repository_routes(api::Router& router, const RepositoryObserver& observer, RepositoryDesk& desk);

} // namespace holdfast
