// Whether what a slice says of its records is so.
#pragma once

#include "postgres/archive/record_tally.h"

#include <string>

namespace holdfast::postgres {

// What of `claim`, or of `summary`, is not true when the slice's records are those of `found`; empty when all
// is. A change map may say that more changed than did, and nothing less.
std::string untrue_claim(const WalDetails& claim, ByteView summary, const RecordTally& found);

// Whether the record may be left out of what a slice that begins at `begin` says: it began before, where who
// made the slice may not have looked.
bool may_be_left_out(const WalRecord& record, Lsn begin, const WalDetails& claim);

} // namespace holdfast::postgres
