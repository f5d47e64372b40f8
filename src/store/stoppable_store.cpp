#include "store/stoppable_store.h"

#include "base/error.h"

namespace holdfast {

StoppableStore::StoppableStore(Store& inner, std::stop_token stop)
    : StoreDecorator(std::shared_ptr<Store>(std::shared_ptr<void>(), &inner)), stop_(std::move(stop)) {}

void StoppableStore::check() const {
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "it was stopped");
}

void StoppableStore::around(StoreCall& call, const std::function<void()>& body) {
    if (!call.options.stop.stop_possible()) {
        check();
        call.options.stop = stop_;
    }
    body();
}

} // namespace holdfast
