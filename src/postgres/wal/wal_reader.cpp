#include "postgres/wal/wal_reader.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/little_endian.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t short_header_bytes = 24;
constexpr std::size_t long_header_bytes = 40;
constexpr std::uint16_t page_continues = 0x0001;
constexpr std::uint16_t page_long_header = 0x0002;
constexpr std::uint16_t page_overwrites = 0x0008;
constexpr std::uint16_t page_all_flags = 0x000f;

constexpr std::size_t checksum_offset = 20;
// No server makes a longer record: it must fit into one allocation (below 1 GiB).
constexpr std::uint32_t record_bytes_max = 1U << 30;

// Memory for a record is given back before the next when the last one took more.
constexpr std::size_t assembly_bytes_kept = 1U << 20;

constexpr std::uint8_t xlog_switch = 0x40;
constexpr std::uint8_t xlog_overwrite_contrecord = 0xd0;

constexpr std::array<std::uint16_t, newest_wal_version - oldest_wal_version + 1> magics = {
    0xd106, 0xd10d, 0xd110, 0xd113, 0xd116, 0xd118,
};

std::uint16_t page_flags(ByteView header) { return load_little<std::uint16_t>(header.data() + 2); }
std::uint32_t page_remaining(ByteView header) { return load_little<std::uint32_t>(header.data() + 16); }

constexpr std::uint64_t align(std::uint64_t value) { return (value + 7) & ~std::uint64_t{7}; }

bool valid_segment_size(std::uint64_t bytes) {
    return std::has_single_bit(bytes) && bytes >= 1U << 20 && bytes <= 1U << 30;
}

} // namespace

std::uint16_t wal_page_magic(int version) {
    if (version < oldest_wal_version || version > newest_wal_version) return 0;
    return magics[static_cast<std::size_t>(version - oldest_wal_version)];
}

std::optional<SegmentHeader> read_segment_header(ByteView first_page) {
    if (first_page.size() < long_header_bytes) return std::nullopt;
    const Byte* at = first_page.data();
    const auto magic = std::ranges::find(magics, load_little<std::uint16_t>(at));
    const std::uint16_t flags = page_flags(first_page);
    SegmentHeader header;
    header.timeline = load_little<std::uint32_t>(at + 4);
    header.begin = Lsn{load_little<std::uint64_t>(at + 8)};
    header.system_identifier = load_little<std::uint64_t>(at + 24);
    header.segment_bytes = load_little<std::uint32_t>(at + 32);
    if (magic == magics.end() || (flags & page_long_header) == 0 || (flags & ~page_all_flags) != 0 ||
        load_little<std::uint32_t>(at + 36) != wal_page_bytes || !valid_segment_size(header.segment_bytes) ||
        header.begin.value % header.segment_bytes != 0)
        return std::nullopt;
    header.version = oldest_wal_version + static_cast<int>(magic - magics.begin());
    return header;
}

bool same_record_start(Lsn a, Lsn b) {
    if (a > b) std::swap(a, b);
    return a == b ||
           (a.value % wal_page_bytes == 0 && (b - a == short_header_bytes || b - a == long_header_bytes));
}

std::string_view to_string(WalEndReason reason) {
    switch (reason) {
    case WalEndReason::zeros:
        return "zeros";
    case WalEndReason::stale_page:
        return "stale_page";
    case WalEndReason::bad_page:
        return "bad_page";
    case WalEndReason::other_system:
        return "other_system";
    case WalEndReason::other_segment_size:
        return "other_segment_size";
    case WalEndReason::other_timeline:
        return "other_timeline";
    case WalEndReason::bad_record:
        return "bad_record";
    case WalEndReason::bad_link:
        return "bad_link";
    case WalEndReason::bad_checksum:
        return "bad_checksum";
    case WalEndReason::broken_continuation:
        return "broken_continuation";
    case WalEndReason::malformed:
        return "malformed";
    }
    return "unknown";
}

WalReader::WalReader(const WalSource& source, Lsn start, RecordHandler on_record, Lsn previous)
    : source_(source),
      on_record_(std::move(on_record)),
      parser_(source.version),
      magic_(wal_page_magic(source.version)),
      position_(start),
      last_start_(previous),
      last_end_(start),
      must_follow_(bool(previous)) {
    if (!valid_segment_size(source.segment_bytes))
        throw Error(ErrorCode::usage, fmt::format("no log has segments of {} bytes", source.segment_bytes),
                    "wal_segment_size is a power of two from 1 MiB to 1 GiB");
    const std::uint64_t offset = start.value % wal_page_bytes;
    if (start.value % 8 != 0 || (offset != 0 && offset < short_header_bytes) || previous > start)
        throw Error(ErrorCode::usage, fmt::format("no record of the log starts at {}", start.str()));
    if (offset != 0) first_start_ = start;
}

std::optional<PendingRecord> WalReader::pending() const {
    if (state_ != State::assembly) return std::nullopt;
    const std::uint64_t total = assembly_.size() >= 4 ? load_little<std::uint32_t>(assembly_.data()) : 0;
    return PendingRecord{assembly_start_, assembly_.size(), total};
}

bool WalReader::feed(ByteView bytes) {
    while (!bytes.empty() && !end_) {
        std::size_t used;
        if (state_ == State::switched) {
            used = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), last_end_ - position_));
            position_ = position_ + used;
            if (position_ == last_end_) state_ = State::record;
        } else if (in_header_ || position_.value % wal_page_bytes == 0) {
            used = take_page_header(bytes);
        } else {
            const std::size_t room = wal_page_bytes - position_.value % wal_page_bytes;
            used = take_body(bytes.first(std::min(room, bytes.size())));
        }
        bytes = bytes.subspan(used);
    }
    return !end_;
}

void WalReader::end_at(Lsn at, WalEndReason reason, std::string detail) {
    end_ = WalEnd{at, reason, std::move(detail)};
    state_ = State::record;
    assembly_ = Bytes();
}

std::size_t WalReader::take_page_header(ByteView bytes) {
    if (!in_header_) {
        in_header_ = true;
        header_fill_ = 0;
    }
    std::size_t used = 0;
    std::size_t want = header_fill_ < short_header_bytes ? short_header_bytes : long_header_bytes;
    for (;;) {
        const std::size_t more = std::min(want - header_fill_, bytes.size() - used);
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(used), more,
                    header_.begin() + static_cast<std::ptrdiff_t>(header_fill_));
        header_fill_ += more;
        used += more;
        position_ = position_ + more;
        if (header_fill_ < want) return used;
        if (want == long_header_bytes || (page_flags(header_) & page_long_header) == 0) break;
        want = long_header_bytes;
    }
    in_header_ = false;
    enter_page(ByteView(header_).first(want));
    return used;
}

// What is wrong with a page is said of the place where the next record would start.
bool WalReader::check_page(ByteView header, Lsn page) {
    const auto magic = load_little<std::uint16_t>(header.data());
    const std::uint16_t flags = page_flags(header);
    const auto timeline = load_little<std::uint32_t>(header.data() + 4);
    const Lsn says{load_little<std::uint64_t>(header.data() + 8)};
    const Lsn at = state_ == State::assembly ? assembly_start_ : page;
    const bool first_of_segment = page.value % source_.segment_bytes == 0;
    const auto refuse = [&](WalEndReason reason, std::string detail) {
        end_at(at, reason, fmt::format("page {}: {}", page.str(), detail));
        return false;
    };
    if (magic == 0 && flags == 0 && timeline == 0 && !says)
        return refuse(WalEndReason::zeros, "was never written");
    if (magic != magic_)
        return refuse(WalEndReason::bad_page,
                      fmt::format("magic number {:04X} instead of {:04X}", magic, magic_));
    if ((flags & ~page_all_flags) != 0)
        return refuse(WalEndReason::bad_page, fmt::format("flags {:04X}", flags));
    if ((flags & page_long_header) != 0) {
        const auto system = load_little<std::uint64_t>(header.data() + 24);
        const auto segment_bytes = load_little<std::uint32_t>(header.data() + 32);
        if (source_.system_identifier != 0 && system != source_.system_identifier)
            return refuse(WalEndReason::other_system,
                          fmt::format("of cluster {} instead of {}", system, source_.system_identifier));
        if (segment_bytes != source_.segment_bytes ||
            load_little<std::uint32_t>(header.data() + 36) != wal_page_bytes)
            return refuse(WalEndReason::other_segment_size,
                          fmt::format("segments of {} bytes instead of {}, pages of {}", segment_bytes,
                                      source_.segment_bytes, load_little<std::uint32_t>(header.data() + 36)));
        source_.system_identifier = system;
    } else if (first_of_segment) {
        return refuse(WalEndReason::bad_page, "the first of a segment, and has no long header");
    }
    if (says != page)
        return refuse(WalEndReason::stale_page, fmt::format("says that it is page {}", says.str()));
    if (timeline < page_timeline_ || timeline == 0 || (source_.timeline != 0 && timeline > source_.timeline))
        return refuse(WalEndReason::other_timeline,
                      fmt::format("of timeline {}, after {}", timeline, page_timeline_));
    page_timeline_ = timeline;
    return true;
}

// Whether the page goes on as the state expects; sets the state for what it does go on with.
bool WalReader::check_continuation(ByteView header, Lsn page) {
    const bool continues = (page_flags(header) & page_continues) != 0;
    const bool overwrites = (page_flags(header) & page_overwrites) != 0;
    const std::uint64_t remaining = page_remaining(header);
    std::uint64_t expected = 0;
    if (state_ == State::assembly) expected = load_little<std::uint32_t>(assembly_.data()) - assembly_.size();
    if (state_ == State::skip) expected = skip_left_;
    if (expected != 0) {
        if (overwrites) {
            if (state_ == State::assembly) overwritten_ = OverwrittenRecord{assembly_start_, page};
            assembly_.clear();
            state_ = State::record;
            return true;
        }
        if (continues && remaining == expected) return true;
        end_at(state_ == State::assembly ? assembly_start_ : page, WalEndReason::broken_continuation,
               fmt::format("page {} continues a record by {} bytes instead of {}", page.str(),
                           continues ? remaining : 0, expected));
        return false;
    }
    if (!continues) return true;
    if (first_start_) {
        end_at(
            page, WalEndReason::broken_continuation,
            fmt::format("page {} continues a record, but the page before ended with none open", page.str()));
        return false;
    }
    skip_left_ = remaining;
    if (remaining != 0) state_ = State::skip;
    return true;
}

void WalReader::enter_page(ByteView header) {
    const Lsn page{position_.value - header.size()};
    if (!check_page(header, page)) return;
    // A record before was named: nothing may lie between.
    if (must_follow_ && records_ == 0 && !first_start_) first_start_ = position_;
    if (!check_continuation(header, page)) return;
    if (!first_start_ && state_ == State::record) {
        first_start_ = position_;
        last_end_ = position_;
    }
}

std::size_t WalReader::take_body(ByteView bytes) {
    if (state_ == State::assembly) return take_assembly(bytes);
    if (state_ == State::skip) {
        const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(skip_left_, bytes.size()));
        position_ = position_ + used;
        skip_left_ -= used;
        if (skip_left_ == 0) {
            state_ = State::record;
            first_start_ = last_end_ = Lsn{align(position_.value)};
        }
        return used;
    }
    if (const std::uint64_t padding = align(position_.value) - position_.value; padding != 0) {
        const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(padding, bytes.size()));
        position_ = position_ + used;
        return used;
    }
    return take_record_start(bytes);
}

// At the start of a record. What lies within the bytes as a whole is not copied.
std::size_t WalReader::take_record_start(ByteView bytes) {
    if (bytes.size() >= wal_record_header_bytes) {
        if (!check_record_header(bytes.first(wal_record_header_bytes), position_)) return 0;
        const std::size_t total = load_little<std::uint32_t>(bytes.data());
        if (total <= bytes.size()) {
            const Lsn start = position_;
            position_ = position_ + total;
            assembly_timeline_ = page_timeline_;
            complete(bytes.first(total), start, Lsn{align(position_.value)});
            return total;
        }
    }
    state_ = State::assembly;
    if (assembly_.capacity() > assembly_bytes_kept) assembly_ = Bytes();
    assembly_.clear();
    assembly_start_ = position_;
    assembly_timeline_ = page_timeline_;
    return take_assembly(bytes);
}

// Collects a record. Its length is in its first four bytes, which always lie within one page; its header is
// checked as soon as it is whole, so that no wrong length is believed for long.
std::size_t WalReader::take_assembly(ByteView bytes) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        const std::size_t have = assembly_.size();
        const std::size_t total = have >= 4 ? load_little<std::uint32_t>(assembly_.data()) : 0;
        const std::size_t want = have < 4                         ? 4
                                 : have < wal_record_header_bytes ? wal_record_header_bytes
                                                                  : total;
        const ByteView piece = bytes.subspan(used, std::min(want - have, bytes.size() - used));
        assembly_.insert(assembly_.end(), piece.begin(), piece.end());
        used += piece.size();
        position_ = position_ + piece.size();
        if (assembly_.size() < want) break;
        if (want == 4) {
            const auto length = load_little<std::uint32_t>(assembly_.data());
            if (length >= wal_record_header_bytes && length <= record_bytes_max) continue;
            end_at(assembly_start_, length == 0 ? WalEndReason::zeros : WalEndReason::bad_record,
                   fmt::format("record {}: length {}", assembly_start_.str(), length));
            break;
        }
        if (want == wal_record_header_bytes && have < wal_record_header_bytes) {
            if (!check_record_header(assembly_, assembly_start_)) break;
            if (load_little<std::uint32_t>(assembly_.data()) > wal_record_header_bytes) continue;
        }
        state_ = State::record;
        complete(assembly_, assembly_start_, Lsn{align(position_.value)});
        break;
    }
    return used;
}

bool WalReader::check_record_header(ByteView header, Lsn start) {
    const auto length = load_little<std::uint32_t>(header.data());
    const Lsn previous{load_little<std::uint64_t>(header.data() + 8)};
    const std::uint8_t manager = header[17];
    const auto refuse = [&](WalEndReason reason, std::string detail) {
        end_at(start, reason, fmt::format("record {}: {}", start.str(), detail));
        return false;
    };
    if (length < wal_record_header_bytes || length > record_bytes_max)
        return refuse(length == 0 ? WalEndReason::zeros : WalEndReason::bad_record,
                      fmt::format("length {}", length));
    if (!is_resource_manager(manager, source_.version))
        return refuse(WalEndReason::bad_record, fmt::format("resource manager {}", manager));
    if (must_follow_ ? previous != last_start_ : previous >= start)
        return refuse(WalEndReason::bad_link,
                      fmt::format("follows {} instead of {}", previous.str(),
                                  must_follow_ ? last_start_.str() : "one before it"));
    return true;
}

void WalReader::complete(ByteView bytes, Lsn start, Lsn end) {
    // The checksum covers the data first, then the header before the checksum.
    const std::uint32_t crc =
        crc32c(crc32c(0, bytes.subspan(wal_record_header_bytes)), bytes.first(checksum_offset));
    if (crc != load_little<std::uint32_t>(bytes.data() + checksum_offset))
        return end_at(start, WalEndReason::bad_checksum, fmt::format("record {}: checksum", start.str()));
    WalRecord record;
    record.start = start;
    record.end = end;
    record.timeline = assembly_timeline_;
    if (const auto wrong = parser_.parse(bytes, record))
        return end_at(start, WalEndReason::malformed, fmt::format("record {}: {}", start.str(), *wrong));
    const bool is_xlog = record.is_of(ResourceManager::xlog);
    if (is_xlog && record.operation() == xlog_overwrite_contrecord && overwritten_ &&
        overwritten_->overwritten_at.value / wal_page_bytes == start.value / wal_page_bytes &&
        (record.main_data.size() < 8 ||
         load_little<std::uint64_t>(record.main_data.data()) != overwritten_->start.value))
        return end_at(start, WalEndReason::broken_continuation,
                      fmt::format("record {}: overwrites another record than the one that is open, {}",
                                  start.str(), overwritten_->start.str()));
    const std::uint64_t in_segment = end.value % source_.segment_bytes;
    if (is_xlog && record.operation() == xlog_switch && in_segment != 0) {
        record.end = end + (source_.segment_bytes - in_segment);
        state_ = State::switched;
    }
    last_start_ = start;
    last_end_ = record.end;
    must_follow_ = true;
    ++records_;
    on_record_(record);
}

} // namespace holdfast::postgres
