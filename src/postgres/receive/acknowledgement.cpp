#include "postgres/receive/acknowledgement.h"

#include <algorithm>

namespace holdfast::postgres {

WalPosition Acknowledgement::update(const ReceivedSoFar& so_far, Duration now) {
    if (!begun_ || so_far.archived > archived_ || so_far.archived >= so_far.received) {
        begun_ = true;
        archived_ = so_far.archived;
        moved_ = now;
    }
    failing_ = now - moved_ > patience_;
    const WalPosition spooled = synchronous_ ? so_far.received : so_far.synced;
    const bool by_spool = failing_ && !synchronous_;
    acknowledged_ = std::max(acknowledged_, by_spool ? spooled : std::min(so_far.archived, spooled));
    return acknowledged_;
}

} // namespace holdfast::postgres
