#include "postgres/recovery/rivals.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Of the slices that are looked at, what can be asked of each.
RecoverySource source_over(const WalArchive& archive, const CallOptions& call) {
    RecoverySource source;
    source.details = [&archive, call](const LogSliceId& slice) {
        try {
            return archive.details(slice, call);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            return WalDetails();
        }
    };
    source.digest = [&archive, call](const LogSliceId& slice) {
        return std::optional(archive.reader().info(slice, call).digest);
    };
    source.content = [&archive, call](const LogSliceId& slice) {
        return archive.reader().content(slice, call).bytes;
    };
    source.part = [&archive, call](const LogSliceId& slice, Lsn begin, Lsn end) {
        return archive.reader().part(slice, begin.value, end.value, call);
    };
    return source;
}

} // namespace

std::vector<LogSliceId> drop_what_is_none(const RecoverySource& source, LogStretch& stretch) {
    std::vector<LogVersion> all = std::move(stretch.versions);
    std::vector<LogVersion> readable;
    for (LogVersion& version : all) {
        try {
            content_of(source, version);
            readable.push_back(version);
        } catch (const Error& error) {
            if (!is_unreadable(error)) throw;
        }
    }
    const auto is_none = [&](const LogVersion& one) {
        if (one.end == stretch.end && !one.content->broken) return false;
        return std::ranges::any_of(readable, [&](const LogVersion& other) {
            if (other.content == one.content) return false;
            const Lsn differs = first_difference(*one.content, *other.content);
            return one.content->details.records_to <= differs && other.content->details.records_to > differs;
        });
    };
    stretch.versions.clear();
    std::ranges::remove_copy_if(readable, std::back_inserter(stretch.versions), is_none);
    std::vector<LogSliceId> dropped;
    for (const LogVersion& version : all) {
        for (const LogSliceId& slice : version.slices) {
            const bool kept = std::ranges::any_of(stretch.versions, [&](const LogVersion& other) {
                return std::ranges::find(other.slices, slice) != other.slices.end();
            });
            if (!kept) dropped.push_back(slice);
        }
    }
    return dropped;
}

void refuse_rivals(const WalArchive& archive, const WalRange& range, const CallOptions& call) {
    const std::vector<LogSliceId> slices = archive.slices_of(range, call);
    const RecoverySource source = source_over(archive, call);
    for (std::vector<LogSliceId>& group :
         overlapping_slices(slices, range.timeline, range.begin, range.end)) {
        if (!are_of_several_runs(group)) continue;
        std::erase_if(group, [&](const LogSliceId& slice) { return !archive.reader().counts(slice, call); });
        if (group.empty() || !are_of_several_runs(group)) continue;
        LogStretch stretch = look_at_stretch(source, std::move(group));
        if (stretch.has_rivals()) drop_what_is_none(source, stretch);
        if (!stretch.has_rivals()) continue;
        throw Error(
            ErrorCode::incompatible,
            fmt::format("the archive has {} logs of timeline {} from {} on, of servers that took "
                        "themselves for the same one: which of them is meant is not known here",
                        stretch.versions.size(), range.timeline, stretch.begin.str()),
            "'holdfast restore' follows one of them, and its restore_command names what may be fetched; "
            "'holdfast window' names both");
    }
}

} // namespace holdfast::postgres
