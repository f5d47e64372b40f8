#include "postgres/recovery/log_versions.h"

#include "base/error.h"
#include "postgres/archive/record_tally.h"
#include "postgres/recovery/same_bytes.h"
#include "postgres/wal/wal_reader.h"
#include "repository/log/log_path.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t page_header_bytes = 40; // the longest
// Of a slice's beginning this much is read to see whether it follows on another.
constexpr std::uint64_t crossing_bytes = std::uint64_t{1} << 20;

bool overlap(const LogSliceId& a, const LogSliceId& b) {
    return a.range.begin < b.range.end && b.range.begin < a.range.end;
}

// The slices of one run: one stream.
struct Strand {
    std::vector<LogSliceId> slices;
    std::uint64_t begin = 0, end = 0;
};

std::vector<Strand> strands_of(const std::vector<LogSliceId>& slices) {
    std::map<RunId, Strand> by_run;
    for (const LogSliceId& slice : slices) {
        Strand& strand = by_run[slice.run];
        if (strand.slices.empty()) strand.begin = slice.range.begin;
        strand.end = std::max(strand.end, slice.range.end);
        strand.slices.push_back(slice);
    }
    std::vector<Strand> strands;
    for (auto& [run, strand] : by_run) strands.push_back(std::move(strand));
    std::ranges::sort(strands, [](const Strand& a, const Strand& b) {
        if (a.begin != b.begin) return a.begin < b.begin;
        if (a.end != b.end) return a.end > b.end;
        return a.slices.front() < b.slices.front();
    });
    return strands;
}

// By the last that both have.
bool agree(const RecoverySource& source, const Strand& a, const Strand& b) {
    std::uint64_t furthest = 0;
    const LogSliceId* of_a = nullptr;
    const LogSliceId* of_b = nullptr;
    for (const LogSliceId& x : a.slices) {
        for (const LogSliceId& y : b.slices) {
            const std::uint64_t end = std::min(x.range.end, y.range.end);
            if (!overlap(x, y) || end < furthest) continue;
            // Of those that end there, two of the same length are compared the fastest.
            if (end == furthest && x.range != y.range) continue;
            furthest = end;
            of_a = &x;
            of_b = &y;
        }
    }
    if (of_a == nullptr) return true;
    try {
        return have_same_bytes(source, *of_a, *of_b);
    } catch (const Error& error) {
        // What cannot be read is no content of its own.
        if (!is_unreadable(error)) throw;
        return true;
    }
}

// --- Putting together ------------------------------------------------------------------------------------

void take_claims(const RecoverySource& source, LogVersion& version, std::span<const PathStep> steps) {
    const WalDetails first = source.details(steps.front().slice);
    if (first.records_from) version.previous = first.previous;
    for (std::size_t i = steps.size(); i-- > 0;) {
        const WalDetails details = source.details(steps[i].slice);
        if (!details.broken.empty()) return;
        if (!details.records_to) continue;
        version.last = details.last;
        version.next = details.records_to;
        return;
    }
}

LogVersion version_of(const RecoverySource& source, std::vector<LogSliceId> slices) {
    std::ranges::sort(slices);
    LogVersion version;
    version.begin = Lsn{slices.front().range.begin};
    const std::vector<PathStep> steps =
        find_path(slices, {slices.front().range.branch, version.begin.value, UINT64_MAX});
    version.end = Lsn{steps.back().end};
    take_claims(source, version, steps);
    version.slices = std::move(slices);
    return version;
}

Bytes bytes_of_path(const RecoverySource& source, const LogVersion& version) {
    Bytes bytes;
    for (const PathStep& step : find_path(
             version.slices, {version.slices.front().range.branch, version.begin.value, version.end.value})) {
        const Bytes slice = source.content(step.slice);
        const ByteView used =
            ByteView(slice).subspan(step.begin - step.slice.range.begin, step.end - step.begin);
        bytes.insert(bytes.end(), used.begin(), used.end());
    }
    return bytes;
}

// Where the first record or page that can be read begins.
Lsn readable_from(Lsn begin, const WalDetails& first) {
    const std::uint64_t in_page = begin.value % wal_page_bytes;
    if (in_page == 0 || (first.records_from == begin && in_page >= page_header_bytes)) return begin;
    return begin + (wal_page_bytes - in_page);
}

struct Decoding {
    WalSource source;
    Lsn from;
};
std::optional<Decoding> decoding_of(const VersionContent& content) {
    const WalDetails& details = content.details;
    if (wal_page_magic(details.version) == 0 || details.segment_bytes == 0) return std::nullopt;
    return Decoding{{details.version, details.segment_bytes, details.system_identifier, 0},
                    readable_from(content.begin, details)};
}

// Of the records that end at or before `end`.
void decode(VersionContent& content, Lsn end) {
    const auto how = decoding_of(content);
    WalDetails& details = content.details;
    const WalDetails identity = details;
    details = {};
    details.version = identity.version;
    details.segment_bytes = identity.segment_bytes;
    details.system_identifier = identity.system_identifier;
    if (!how || how->from >= content.end()) return;
    RecordTally tally;
    tally.details = details;
    WalReader reader(how->source, how->from, [&](const WalRecord& record) {
        if (record.end > end) return;
        const wal_event::Event event = wal_event::event_or_unknown(record, identity.version);
        tally.add_details(record, event);
        if (const auto* backup = std::get_if<wal_event::BackupEnd>(&event))
            content.backups.push_back({0, backup->start, record.end});
    });
    reader.feed(ByteView(content.bytes).subspan(how->from - content.begin));
    if (reader.end()) content.broken = reader.end()->at;
    details = std::move(tally.details);
}

// Whether the second decodes as what follows on the first.
bool goes_on(const VersionContent& before, const VersionContent& behind) {
    const auto how = decoding_of(before);
    if (!how || how->from >= before.end() || before.broken) return true;
    bool reached = false;
    WalReader reader(how->source, how->from,
                     [&](const WalRecord& record) { reached = reached || record.end > before.end(); });
    reader.feed(ByteView(before.bytes).subspan(how->from - before.begin));
    if (reader.end()) return true;
    ByteView rest = behind.bytes;
    while (!rest.empty() && !reached && !reader.end()) {
        const std::size_t size = std::min<std::size_t>(rest.size(), crossing_bytes);
        reader.feed(rest.first(size));
        rest = rest.subspan(size);
    }
    return reached || !reader.end();
}

// A slice that begins within the stretch may go on where another one stands, whose bytes before it are its
// own then: put together byte by byte.
class Assembly {
  public:
    explicit Assembly(const RecoverySource& source) : source_(source) {}

    void add(const LogSliceId& slice) {
        Bytes bytes = source_.content(slice);
        if (bytes.size() != slice.range.end - slice.range.begin)
            throw Error(ErrorCode::corrupt, slice.name() + " has not the length that its name says",
                        "'holdfast wal verify' tells what depends on it");
        bool placed = false;
        for (Part& part : parts_)
            if (fits(part, slice, bytes)) placed = append(part, slice, bytes) || placed;
        if (!placed) branch_off(slice, bytes);
    }

    std::vector<LogVersion> versions() {
        std::vector<LogVersion> versions;
        for (Part& part : parts_) {
            LogVersion version = version_of(source_, part.slices);
            auto content = std::make_shared<VersionContent>();
            content->begin = version.begin;
            content->bytes = std::move(part.bytes);
            content->bytes.resize(version.end - version.begin);
            content->details = source_.details(part.slices.front());
            decode(*content, version.end);
            version.content = std::move(content);
            versions.push_back(std::move(version));
        }
        return versions;
    }

  private:
    struct Part {
        std::vector<LogSliceId> slices;
        std::uint64_t begin = 0;
        Bytes bytes;
        std::uint64_t end() const { return begin + bytes.size(); }
    };

    static std::uint64_t equal_bytes(const Part& part, const LogSliceId& slice, const Bytes& bytes) {
        const std::uint64_t common = std::min<std::uint64_t>(part.end(), slice.range.end) - slice.range.begin;
        const auto here = ByteView(part.bytes).subspan(slice.range.begin - part.begin, common);
        return static_cast<std::uint64_t>(std::ranges::mismatch(here, ByteView(bytes).first(common)).in1 -
                                          here.begin());
    }

    // What only touches is of the same content when it is of the same run, or when its first record names the
    // last one.
    bool fits(const Part& part, const LogSliceId& slice, const Bytes& bytes) const {
        if (slice.range.begin < part.begin || slice.range.begin > part.end()) return false;
        if (slice.range.begin < part.end())
            return slice.range.begin + equal_bytes(part, slice, bytes) ==
                   std::min(part.end(), slice.range.end);
        const bool same_run =
            std::ranges::any_of(part.slices, [&](const LogSliceId& known) { return known.run == slice.run; });
        return same_run || may_follow(version_of(source_, part.slices), version_of(source_, {slice}));
    }

    static bool append(Part& part, const LogSliceId& slice, const Bytes& bytes) {
        part.slices.push_back(slice);
        if (slice.range.end <= part.end()) return true;
        const std::uint64_t known = part.end() - slice.range.begin;
        part.bytes.insert(part.bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(known), bytes.end());
        return true;
    }

    // On the content with which it has the most in common.
    void branch_off(const LogSliceId& slice, const Bytes& bytes) {
        const Part* stem = nullptr;
        std::uint64_t most = 0;
        for (const Part& part : parts_) {
            if (slice.range.begin <= part.begin || slice.range.begin > part.end()) continue;
            const std::uint64_t equal = equal_bytes(part, slice, bytes);
            if (stem != nullptr && equal <= most) continue;
            stem = &part;
            most = equal;
        }
        Part part{{slice}, slice.range.begin, {}};
        if (stem != nullptr) {
            part.begin = stem->begin;
            part.slices = stem->slices;
            std::erase_if(part.slices,
                          [&](const LogSliceId& known) { return known.range.end > slice.range.begin; });
            // What leads there may be in a slice that goes on otherwise.
            if (!leads_to(part.slices, part.begin, slice.range.begin)) {
                part.slices = {slice};
                part.begin = slice.range.begin;
            } else {
                part.bytes.assign(stem->bytes.begin(),
                                  stem->bytes.begin() +
                                      static_cast<std::ptrdiff_t>(slice.range.begin - stem->begin));
                part.slices.push_back(slice);
            }
        }
        part.bytes.insert(part.bytes.end(), bytes.begin(), bytes.end());
        parts_.push_back(std::move(part));
    }
    static bool leads_to(std::vector<LogSliceId> slices, std::uint64_t begin, std::uint64_t end) {
        if (slices.empty()) return false;
        std::ranges::sort(slices);
        const auto path = find_path(slices, {slices.front().range.branch, begin, end});
        return !path.empty() && path.back().end == end;
    }

    const RecoverySource& source_;
    std::vector<Part> parts_;
};

} // namespace

std::vector<std::vector<LogSliceId>> overlapping_slices(std::span<const LogSliceId> slices,
                                                        TimelineId timeline, Lsn from, Lsn until) {
    std::vector<std::vector<LogSliceId>> groups;
    std::uint64_t end = 0;
    for (const LogSliceId& slice : slices) {
        if (slice.range.branch != timeline || slice.range.begin == slice.range.end ||
            slice.range.begin >= until.value)
            continue;
        if (groups.empty() || slice.range.begin >= end) groups.emplace_back();
        groups.back().push_back(slice);
        end = std::max(end, slice.range.end);
    }
    std::erase_if(groups, [&](const std::vector<LogSliceId>& group) {
        return std::ranges::max(group, {}, [](const LogSliceId& slice) {
                   return slice.range.end;
               }).range.end <= from.value;
    });
    return groups;
}

bool are_of_several_runs(std::span<const LogSliceId> slices) {
    return std::ranges::any_of(slices,
                               [&](const LogSliceId& slice) { return slice.run != slices.front().run; });
}

LogStretch look_at_stretch(const RecoverySource& source, std::vector<LogSliceId> slices) {
    LogStretch stretch;
    std::vector<std::vector<Strand>> groups;
    for (Strand& strand : source.part ? strands_of(slices) : std::vector<Strand>()) {
        const auto group = std::ranges::find_if(groups, [&](const std::vector<Strand>& one) {
            return std::ranges::all_of(one,
                                       [&](const Strand& other) { return agree(source, other, strand); });
        });
        if (group == groups.end()) {
            groups.push_back({std::move(strand)});
        } else {
            group->push_back(std::move(strand));
        }
    }
    if (groups.size() < 2) {
        stretch.versions.push_back(version_of(source, std::move(slices)));
    } else if (std::ranges::all_of(groups, [&](const std::vector<Strand>& group) {
                   return group.front().begin == groups.front().front().begin;
               })) {
        for (const std::vector<Strand>& group : groups) {
            std::vector<LogSliceId> of_group;
            for (const Strand& strand : group)
                of_group.insert(of_group.end(), strand.slices.begin(), strand.slices.end());
            stretch.versions.push_back(version_of(source, std::move(of_group)));
        }
    } else {
        std::ranges::sort(slices, [](const LogSliceId& a, const LogSliceId& b) {
            return std::tie(a.range.begin, b.range.end) < std::tie(b.range.begin, a.range.end);
        });
        Assembly assembly(source);
        for (const LogSliceId& slice : slices) assembly.add(slice);
        stretch.versions = assembly.versions();
    }
    std::ranges::stable_sort(stretch.versions, std::greater{}, &LogVersion::end);
    stretch.begin = std::ranges::min(stretch.versions, {}, &LogVersion::begin).begin;
    stretch.end = stretch.versions.front().end;
    return stretch;
}

const VersionContent& content_of(const RecoverySource& source, LogVersion& version) {
    if (!version.content) {
        auto content = std::make_shared<VersionContent>();
        content->begin = version.begin;
        content->bytes = bytes_of_path(source, version);
        content->details = source.details(find_path(version.slices, {version.slices.front().range.branch,
                                                                     version.begin.value, version.end.value})
                                              .front()
                                              .slice);
        decode(*content, version.end);
        version.content = std::move(content);
    }
    return *version.content;
}

// The record that lies in both is told by none of them when whoever made the second has not seen its
// beginning: then the first one that is told names it, and it starts where the next one must.
bool may_follow(const LogVersion& version, const LogVersion& next) {
    if (version.end != next.begin) return false;
    if (!version.last || !next.previous) return true;
    return next.previous == version.last || next.previous == version.next ||
           same_record_start(next.previous, version.next);
}

bool follows_by_content(const RecoverySource& source, LogVersion& version, LogVersion& next) {
    if (version.end != next.begin) return false;
    if (!source.part || !source.content) return true;
    try {
        return goes_on(content_of(source, version), content_of(source, next));
    } catch (const Error& error) {
        if (!is_unreadable(error)) throw;
        return true;
    }
}

Lsn first_difference(const VersionContent& a, const VersionContent& b) {
    const Lsn begin = std::max(a.begin, b.begin), end = std::min(a.end(), b.end());
    if (begin >= end) return end;
    const ByteView of_a = ByteView(a.bytes).subspan(begin - a.begin, end - begin);
    const ByteView of_b = ByteView(b.bytes).subspan(begin - b.begin, end - begin);
    return begin + static_cast<std::uint64_t>(std::ranges::mismatch(of_a, of_b).in1 - of_a.begin());
}

WalDetails details_up_to(const VersionContent& content, Lsn end) {
    VersionContent part{content.begin, content.bytes, content.details, {}, {}};
    decode(part, end);
    return part.details;
}

} // namespace holdfast::postgres
