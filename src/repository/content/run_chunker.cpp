#include "repository/content/run_chunker.h"

namespace holdfast {

void RunChunker::begin(std::uint64_t offset) {
    drop();
    offset_ = offset;
}

void RunChunker::append(ByteView bytes) {
    if (begin_ > 0 && buffer_.size() + bytes.size() > buffer_.capacity()) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
        begin_ = 0;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    cut(false);
}

void RunChunker::end() {
    cut(true);
    drop();
}

void RunChunker::drop() {
    splitter_.restart();
    buffer_.clear();
    begin_ = 0;
}

void RunChunker::cut(bool at_end) {
    while (const std::size_t length = splitter_.next_cut(pending(), at_end)) {
        emit_(offset_, pending().first(length));
        begin_ += length;
        offset_ += length;
    }
}

} // namespace holdfast
