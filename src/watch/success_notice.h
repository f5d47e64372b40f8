// Telling those who want to hear that something went well.
#pragma once

#include "catalog/operations.h"
#include "watch/channels/channel_settings.h"

#include <string_view>
#include <vector>

namespace holdfast {

// Queues a notice of `operation`, which has just succeeded, for each channel that takes successes of its kind
// and source, within the transaction that ends it: it is told of once, or not at all. Of a trial nobody is
// told. Throws what the database throws.
void queue_success(Database& database, const std::vector<ChannelSettings>& channels, std::string_view origin,
                   const Operation& operation, Timestamp now);

} // namespace holdfast
