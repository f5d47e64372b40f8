#include "repository/log/slice_feed.h"

#include <algorithm>

namespace holdfast {

SliceFeed::SliceFeed(std::vector<LogSliceId> slices, Read read, unsigned workers, std::uint64_t ahead_bytes,
                     std::stop_token stop)
    : slices_(std::move(slices)),
      read_(std::move(read)),
      ahead_bytes_(ahead_bytes),
      workers_(std::move(stop)) {
    const std::size_t threads = std::min<std::size_t>(std::max(workers, 1U), slices_.size());
    for (std::size_t i = 0; i < threads; ++i)
        workers_.start([this](const std::stop_token& stopped) { work(stopped); });
}

SliceFeed::~SliceFeed() = default;

// A name may claim any length; none counts for more than a slice can have.
std::uint64_t SliceFeed::bytes_of(const LogSliceId& slice) {
    return std::min<std::uint64_t>(slice.range.end - slice.range.begin, largest_slice_bytes);
}

// The next one, once there is room for it. They are taken in order, so that the one that is waited for is
// always under way.
std::optional<std::size_t> SliceFeed::take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto fits = [&] {
        return next_to_read_ == slices_.size() || ahead_ == 0 ||
               ahead_ + bytes_of(slices_[next_to_read_]) <= ahead_bytes_;
    };
    if (!changed_.wait(lock, stop, fits) || next_to_read_ == slices_.size()) return std::nullopt;
    ahead_ += bytes_of(slices_[next_to_read_]);
    return next_to_read_++;
}

void SliceFeed::work(const std::stop_token& stop) {
    while (const std::optional<std::size_t> number = take(stop)) {
        FedSlice slice = read(slices_[*number], stop);
        const std::scoped_lock lock(mutex_);
        ready_.emplace(*number, std::move(slice));
        changed_.notify_all();
    }
}

FedSlice SliceFeed::read(const LogSliceId& slice, const std::stop_token& stop) const {
    try {
        return {slice, read_(slice, {.timeout = {}, .stop = stop}), {}};
    } catch (const Error& error) {
        switch (error.code()) {
        case ErrorCode::not_found:
        case ErrorCode::corrupt:
        case ErrorCode::access_denied:
        case ErrorCode::incompatible:
        case ErrorCode::wrong_key:
            return {slice, {}, error};
        default:
            throw;
        }
    }
}

std::optional<FedSlice> SliceFeed::next() {
    if (next_to_give_ == slices_.size()) {
        workers_.wait();
        return std::nullopt;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, workers_.stop_token(), [&] { return ready_.contains(next_to_give_); });
    const auto found = ready_.find(next_to_give_);
    if (found == ready_.end()) {
        lock.unlock();
        workers_.rethrow_if_failed();
        throw Error(ErrorCode::cancelled, "reading the log was stopped");
    }
    FedSlice slice = std::move(found->second);
    ready_.erase(found);
    ++next_to_give_;
    ahead_ -= bytes_of(slice.id);
    changed_.notify_all();
    return slice;
}

} // namespace holdfast
