#include "server/repository_view.h"

#include "base/error.h"
#include "service/clock_check.h"
#include "service/repository_stats.h"

#include <algorithm>
#include <cmath>

namespace holdfast {

namespace {

constexpr Duration open_again = std::chrono::hours(1);
constexpr Duration seldom = std::chrono::hours(1);
constexpr Duration seldom_again = std::chrono::minutes(10);
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
        {
            const std::scoped_lock lock(learning_);
            news_.clear();
        }
        RepositoryView seen{.at = clock_.now(),
                            .measurements = measure(*repository_->repository, policies, settings, stop)};
        look_at_clock(seen);
        // What is seen does not wait for what takes longer, nor does it fail with it.
        publish(seen);
        if (look_seldom(stop)) publish(seen);
    } catch (...) {
        repository_.reset();
        throw;
    }
}

void RepositoryObserver::look_at_clock(RepositoryView& seen) {
    Repository& repository = *repository_->repository;
    try {
        const ClockDoubt doubt =
            clock_doubt(repository, clock_witness(seen.measurements.snapshots), seen.measurements.statements);
        // That a machine is new here is nothing to wake anybody for.
        if (!doubt.is_first) seen.clock_doubt = doubt.why;
    } catch (const Error& error) {
        // Retention asks by itself, and refuses then.
        seen.clock_doubt =
            std::unexpected("whether the clock is to be believed cannot be found out: " + error.message());
    }
}

void RepositoryObserver::publish(RepositoryView seen) {
    seen.measurements.repository.bytes = seldom_.bytes;
    seen.clock_offset_seconds = seldom_.clock_offset_seconds;
    seen.clock_compared = seldom_.clock_compared;
    const std::scoped_lock lock(learning_);
    for (const News& news : news_) news(seen.measurements);
    set_view(std::move(seen));
}

void RepositoryObserver::learn(News news) {
    const std::scoped_lock lock(learning_);
    if (const auto before = view()) {
        RepositoryView now = *before;
        news(now.measurements);
        set_view(std::move(now));
    }
    news_.push_back(std::move(news));
}

void RepositoryObserver::set_view(RepositoryView view) {
    auto made = std::make_shared<const RepositoryView>(std::move(view));
    const std::scoped_lock lock(mutex_);
    view_ = std::move(made);
}

bool RepositoryObserver::look_seldom(const std::stop_token& stop) {
    Repository& repository = *repository_->repository;
    const bool due = !seldom_.due || clock_.steady() >= *seldom_.due;
    if (!due && std::abs(seldom_.clock_offset_seconds.value_or(0)) <= off_seconds) return false;
    const Duration next = clock_.steady() + seldom;
    try {
        if (due) {
            seldom_.bytes = repository_bytes(repository, stop);
            seldom_.due = next;
        }
        // Takes a small object, which a store may refuse just now: what was seen before stays.
        seldom_.clock_offset_seconds = clock_offset_seconds(repository);
        seldom_.clock_compared = true;
    } catch (const Error&) {
        seldom_.due = clock_.steady() + seldom_again;
    }
    return true;
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
