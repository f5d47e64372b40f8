// The routes of what is said of snapshots: holds and tags. They read and write the repository itself, so that
// nobody decides by what was so a moment ago.
#pragma once

#include "server/snapshot_routes.h"

namespace holdfast {

// /v1/holds, and the holds and tags below /v1/snapshots/{id}. As add_snapshot_routes().
void add_annotation_routes(api::Router& router, const SnapshotServices& services);

} // namespace holdfast
