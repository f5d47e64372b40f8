#include "server/repository_view.h"

#include "base/error.h"

namespace holdfast {

namespace {

constexpr Duration open_again = std::chrono::hours(1);

} // namespace

void RepositoryObserver::look(const std::vector<Policy>& policies, const MeasureSettings& settings,
                              const std::stop_token& stop) {
    try {
        if (repository_ && clock_.steady() - opened_ > open_again) repository_.reset();
        if (!repository_) {
            repository_ = open_();
            opened_ = clock_.steady();
        }
        auto seen = std::make_shared<RepositoryView>();
        seen->at = clock_.now();
        seen->measurements = measure(*repository_->repository, policies, settings, stop);
        const std::scoped_lock lock(mutex_);
        view_ = std::move(seen);
    } catch (...) {
        repository_.reset();
        throw;
    }
}

std::shared_ptr<const RepositoryView> RepositoryObserver::view() const {
    const std::scoped_lock lock(mutex_);
    return view_;
}

std::shared_ptr<const RepositoryView> RepositoryObserver::require_view() const {
    auto seen = view();
    if (!seen)
        throw Error(ErrorCode::unavailable, "the repository has not been looked at yet",
                    "ask again in a moment; the log of the server says what keeps it", true);
    return seen;
}

} // namespace holdfast
