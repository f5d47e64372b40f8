// Stretches of the log that a server is to replay otherwise than they were written, as a recovery on another
// place of the disk needs: the record that makes a tablespace names its directory by its absolute path.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/lsn.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// Within one page of the log. Both have the same length.
struct LogReplacement {
    Lsn at;
    Bytes was;
    Bytes now;

    bool operator==(const LogReplacement&) const = default;
};

// `record` (header first, without page headers) with another text behind `text_offset`, where the zero-ended
// text that ends it begins, and with the checksum that follows. What a server reads ends at the first zero,
// so that a shorter text is filled up with them. Empty when `text` is longer than the one that is there.
Bytes with_text(ByteView record, std::size_t text_offset, std::string_view text);

// `was`, a record that starts at `start`, becomes `now`: one replacement for each page that differs.
std::vector<LogReplacement> replace_record(Lsn start, ByteView was, ByteView now,
                                           std::uint64_t segment_bytes);

// As a text: a line each, position and both in hexadecimal digits.
std::string write_replacements(const std::vector<LogReplacement>& replacements);
// Throws Error(corrupt) for what the other did not write.
std::vector<LogReplacement> parse_replacements(std::string_view text, std::string_view what);

// Does them in a segment's file that begins at `segment`. What does not hold what it is said to be (a later
// timeline, zeros behind the end) is left alone. Returns how many were done.
std::size_t apply_replacements(const std::vector<LogReplacement>& replacements, const std::string& path,
                               const WalRange& segment);

// Zeros from `end` on, which is how a log ends. Nothing when the segment lies before it.
void end_log_at(Lsn end, const std::string& path, const WalRange& segment);

} // namespace holdfast::postgres
