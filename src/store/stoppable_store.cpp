#include "store/stoppable_store.h"

#include "base/error.h"

namespace holdfast {

void StoppableStore::check() const {
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "it was stopped");
}

CallOptions StoppableStore::stoppable(CallOptions options) const {
    check();
    if (!options.stop.stop_possible()) options.stop = stop_;
    return options;
}

} // namespace holdfast
