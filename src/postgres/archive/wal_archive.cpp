#include "postgres/archive/wal_archive.h"

#include "base/error.h"
#include "repository/key_ring.h"
#include "repository/log/log_writer.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Of slices of which one is enough, if it can be read.
constexpr std::size_t most_to_ask = 256;

} // namespace

ArchiveId wal_archive_id(const KeyRing& keys, std::string_view source, std::uint64_t system_identifier) {
    const Secret identity = keys.identity_key();
    return archive_id(domain_id(keys.domain()), identity.view(), source,
                      fmt::format("{}", system_identifier));
}

WalArchive WalArchive::only(std::vector<LogSliceId> slices) const {
    WalArchive some(*this);
    some.only_ = std::make_shared<const std::vector<LogSliceId>>(std::move(slices));
    return some;
}

std::vector<LogSliceId> WalArchive::allowed(std::vector<LogSliceId> slices) const {
    if (only_)
        std::erase_if(slices, [&](const LogSliceId& slice) {
            return slice.range.begin < slice.range.end && !std::ranges::binary_search(*only_, slice);
        });
    return slices;
}

std::vector<LogSliceId> WalArchive::slices(Lsn from, const CallOptions& call) const {
    return allowed(list_slices(context_.store, archive_, from.value, call));
}

std::vector<LogSliceId> WalArchive::slices_of(const WalRange& range, const CallOptions& call) const {
    return allowed(
        list_slices_of(context_.store, archive_, {range.timeline, range.begin.value, range.end.value}, call));
}

std::optional<WalDetails> WalArchive::any_details(const CallOptions& call) const {
    std::vector<LogSliceId> slices;
    context_.store.list(
        fmt::format("{}{}/", logs_prefix, archive_.hex()), "",
        [&](const ObjectInfo& object) {
            const auto slice = LogSliceId::from_name(object.name);
            if (slice && slice->range.begin < slice->range.end) slices.push_back(*slice);
            return slices.size() < most_to_ask;
        },
        call);
    std::optional<Error> first;
    for (const LogSliceId& slice : slices) {
        try {
            return details(slice, call);
        } catch (const Error& error) {
            if (!reader_.is_refusal(slice, error, call)) throw;
            if (!first) first = error;
        }
    }
    if (first) throw Error(*first);
    return std::nullopt;
}

bool WalArchive::has_any_of(const WalRange& range, const CallOptions& call) const {
    return std::ranges::any_of(slices_of(range, call),
                               [&](const LogSliceId& slice) { return reader_.counts(slice, call); });
}

WalDetails WalArchive::details(const LogSliceId& slice, const CallOptions& call) const {
    return decode_wal_details(reader_.info(slice, call).details, slice.name());
}

std::map<TimelineId, TimelineHistory> WalArchive::histories(std::span<const LogSliceId> all,
                                                            const CallOptions& call,
                                                            const Unreadable& unreadable) const {
    std::map<TimelineId, TimelineHistory> histories;
    histories.emplace(TimelineId{1}, TimelineHistory(1));
    for (const LogSliceId& slice : all) {
        if (slice.range.begin != slice.range.end || histories.contains(slice.range.branch)) continue;
        try {
            histories.emplace(slice.range.branch,
                              TimelineHistory::parse(slice.range.branch, details(slice, call).history));
        } catch (const Error& error) {
            if (!unreadable || !reader_.is_refusal(slice, error, call)) throw;
            unreadable(slice, error);
        }
    }
    return histories;
}

std::optional<std::string> WalArchive::history_text(TimelineId timeline, const CallOptions& call) const {
    std::optional<Error> damaged;
    for (const LogSliceId& slice : list_branch_slices(context_.store, archive_, timeline, call)) {
        try {
            return details(slice, call).history;
        } catch (const Error& error) {
            if (!reader_.is_refusal(slice, error, call)) throw;
            if (error.code() != ErrorCode::access_denied && error.code() != ErrorCode::not_found)
                damaged = error;
        }
    }
    if (damaged) throw Error(*damaged);
    return std::nullopt;
}

std::optional<std::string> WalArchive::known_history(TimelineId timeline, const CallOptions& call) const {
    try {
        return history_text(timeline, call);
    } catch (const Error& error) {
        // A key that writes only does not open what others have stored.
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
            error.code() != ErrorCode::wrong_key)
            throw;
        return std::nullopt;
    }
}

Lsn WalArchive::read(const WalRange& range, const Sink& sink, const CallOptions& call) const {
    std::vector<LogSliceId> slices = slices_of(range, call);
    Lsn position = range.begin;
    while (position < range.end) {
        const std::vector<PathStep> path =
            find_path(slices, {range.timeline, position.value, range.end.value});
        if (path.empty()) break;
        const PathStep& step = path.front();
        try {
            const LogReader::Content content = reader_.content(step.slice, call);
            sink(ByteView(content.bytes).subspan(step.begin - step.slice.range.begin, step.end - step.begin));
            position = Lsn{step.end};
        } catch (const Error& error) {
            if (!reader_.is_refusal(step.slice, error, call)) throw;
            std::erase(slices, step.slice);
            if (find_path(slices, {range.timeline, position.value, range.end.value}).empty()) throw;
        }
    }
    return position;
}

namespace {

// The archives in the store, each by its first name: a listing is begun anew behind each.
std::vector<ArchiveId> list_archives(Store& store, const CallOptions& call) {
    std::vector<ArchiveId> archives;
    for (bool more = true; more;) {
        more = false;
        const std::string after =
            archives.empty() ? "" : fmt::format("{}{}/~", logs_prefix, archives.back().hex());
        store.list(
            std::string(logs_prefix), after,
            [&](const ObjectInfo& object) {
                const auto slice = LogSliceId::from_name(object.name);
                if (!slice) return true;
                archives.push_back(slice->archive);
                more = true;
                return false;
            },
            call);
    }
    return archives;
}

} // namespace

WalArchive open_wal_archive(const Repository& repository, const std::string& source,
                            const CallOptions& call) {
    const RepositoryContext& context = repository.context();
    SnapshotList list = list_snapshots(context);
    std::erase_if(list.snapshots, [](const Snapshot& snapshot) { return !snapshot.log; });
    const Snapshot* newest = newest_of(list.snapshots, source, repository.keys().domain());
    if (newest != nullptr) return {context, newest->log->archive};
    std::vector<ArchiveId> found;
    for (const ArchiveId& id : list_archives(context.store, call)) {
        const WalArchive archive(context, id);
        try {
            const auto details = archive.any_details(call);
            if (details && wal_archive_id(repository.keys(), source, details->system_identifier) == id)
                found.push_back(id);
        } catch (const Error& error) {
            // Another domain's, or damaged: not to be told from those of other sources.
            if (error.code() != ErrorCode::wrong_key && error.code() != ErrorCode::corrupt &&
                error.code() != ErrorCode::access_denied)
                throw;
        }
    }
    if (found.size() == 1) return {context, found.front()};
    if (found.empty()) {
        throw Error(ErrorCode::not_found, fmt::format("the repository has no log of source {}", source),
                    "'holdfast wal push' and 'holdfast wal receive' bring it there; is the name right?");
    }
    throw Error(
        ErrorCode::not_found,
        fmt::format("the repository has the logs of {} clusters under the name {}", found.size(), source),
        "make a snapshot of the one that is meant: it decides");
}

} // namespace holdfast::postgres
