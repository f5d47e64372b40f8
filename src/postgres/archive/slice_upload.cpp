#include "postgres/archive/slice_upload.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast::postgres {

SliceUpload::SliceUpload(LogWriter& log, unsigned workers, std::size_t waiting_bytes, Stored stored,
                         std::stop_token stop)
    : log_(log), stored_(std::move(stored)), queue_(waiting_bytes), workers_(std::move(stop)) {
    for (unsigned i = 0; i < std::max(workers, 1U); ++i)
        workers_.start([this](std::stop_token stopped) { work(std::move(stopped)); });
}

SliceUpload::~SliceUpload() = default;

void SliceUpload::work(std::stop_token stop) {
    Compressor compressor;
    while (const std::optional<CutSlice> slice = queue_.pop(stop)) {
        const Bytes details = encode_wal_details(slice->details);
        const SealedSlice sealed =
            log_.seal({slice->range, slice->content, details, slice->summary}, compressor);
        log_.put(sealed, {.stop = stop});
        if (stored_) stored_(sealed.id, sealed.size_bytes());
    }
}

void SliceUpload::add(CutSlice slice) {
    const std::size_t bytes = slice.content.size() + slice.summary.size();
    if (queue_.push(std::move(slice), bytes, workers_.stop_token())) return;
    workers_.rethrow_if_failed();
    throw Error(ErrorCode::cancelled, "storing the log was stopped");
}

void SliceUpload::finish() {
    queue_.close();
    workers_.wait();
}

} // namespace holdfast::postgres
