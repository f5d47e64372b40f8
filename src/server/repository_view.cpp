#include "server/repository_view.h"

#include "base/error.h"
#include "service/clock_check.h"
#include "service/repository_stats.h"

#include <cmath>

namespace holdfast {

namespace {

constexpr Duration open_again = std::chrono::hours(1);
constexpr Duration seldom = std::chrono::hours(1);
// Of a clock that is off more than this it is to be seen soon when it is right again.
constexpr double off_seconds = 5;

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
        const Seldom& last = look_seldom(stop);
        seen->measurements.repository.bytes = last.bytes;
        seen->clock_offset_seconds = last.clock_offset_seconds;
        const std::scoped_lock lock(mutex_);
        view_ = std::move(seen);
    } catch (...) {
        repository_.reset();
        throw;
    }
}

const RepositoryObserver::Seldom& RepositoryObserver::look_seldom(const std::stop_token& stop) {
    Repository& repository = *repository_->repository;
    const bool fresh = seldom_ && clock_.steady() - seldom_->at < seldom;
    if (!fresh) {
        seldom_ = Seldom{.at = clock_.steady(),
                         .bytes = repository_bytes(repository, stop),
                         .clock_offset_seconds = clock_offset_seconds(repository)};
    } else if (std::abs(seldom_->clock_offset_seconds.value_or(0)) > off_seconds) {
        seldom_->clock_offset_seconds = clock_offset_seconds(repository);
    }
    return *seldom_;
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
