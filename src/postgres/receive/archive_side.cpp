#include "postgres/receive/archive_side.h"

#include "base/error.h"
#include "postgres/archive/same_cluster.h"
#include "postgres/receive/final_error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr const char* opening_alarm = "opening";
constexpr auto look_again = std::chrono::milliseconds(500);

// Of the spool as it is: a state that others left behind without it says nothing.
std::optional<ReceiveState> state_of_spool(const WalSpool& spool,
                                           const std::optional<ReceiveState>& earlier) {
    return earlier && !earlier->archive.empty() && spool.header() ? earlier : std::nullopt;
}

} // namespace

ArchiveSide::ArchiveSide(OpenArchive open, const ReceiveSettings& settings, WalSpool& spool,
                         const std::optional<ReceiveState>& earlier, Alarms& alarms, Logger& logger)
    : open_(std::move(open)),
      settings_(settings),
      spool_(spool),
      alarms_(alarms),
      logger_(logger),
      earlier_(state_of_spool(spool, earlier)) {
    if (const auto header = spool.header()) system_identifier_ = header->system_identifier;
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

ArchiveSide::~ArchiveSide() = default;

void ArchiveSide::meet(std::uint64_t system_identifier) {
    const std::scoped_lock lock(mutex_);
    system_identifier_ = system_identifier;
    changed_.notify_all();
}

void ArchiveSide::notice(bool hurry) {
    const std::scoped_lock lock(mutex_);
    if (shipper_) return shipper_->notice(hurry);
    if (appended_) return;
    appended_ = true;
    changed_.notify_all();
}

void ArchiveSide::rethrow_if_hopeless() const {
    const std::scoped_lock lock(mutex_);
    if (hopeless_) std::rethrow_exception(hopeless_);
}

bool ArchiveSide::wait_until_known(Duration patience, const std::stop_token& stop) const {
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, patience, [&] { return known_ || hopeless_ || !last_error_.empty(); });
    }
    rethrow_if_hopeless();
    return known();
}

bool ArchiveSide::known() const {
    const std::scoped_lock lock(mutex_);
    return known_;
}

bool ArchiveSide::vouches_for_spool() const { return known() || earlier_; }

std::optional<WalArchive> ArchiveSide::archive() const {
    const std::scoped_lock lock(mutex_);
    return known_ ? archive_ : std::nullopt;
}

std::string ArchiveSide::archive_name() const {
    const std::scoped_lock lock(mutex_);
    if (known_) return archive_->id().hex();
    return earlier_ ? earlier_->archive : "";
}

ShippedSoFar ArchiveSide::so_far() const {
    ShippedSoFar so_far;
    if (earlier_) so_far = {earlier_->archived, earlier_->last_commit, earlier_->last_commit_us};
    const std::scoped_lock lock(mutex_);
    if (!shipper_) return so_far;
    ShippedSoFar shipped = shipper_->so_far();
    if (shipped.last_commit_end) return shipped;
    shipped.last_commit_end = so_far.last_commit_end;
    shipped.last_commit_us = so_far.last_commit_us;
    return shipped;
}

std::string ArchiveSide::last_error() const {
    const std::scoped_lock lock(mutex_);
    return shipper_ ? shipper_->last_error() : last_error_;
}

bool ArchiveSide::finish(const std::stop_token& stop) {
    WalShipper* shipper = nullptr;
    {
        std::unique_lock lock(mutex_);
        // While it cannot be opened, waiting is of no use.
        const auto decided = [&] {
            return shipper_ || hopeless_ || !last_error_.empty() || !spool_.header();
        };
        changed_.wait(lock, stop, decided);
        shipper = shipper_.get();
    }
    return shipper != nullptr ? shipper->finish(stop) : !spool_.header();
}

void ArchiveSide::run(const std::stop_token& stop) {
    if (open(stop) && look_at_cluster(stop)) begin_shipping(stop);
}

// Who has received for this source before waits for the repository, whatever is the matter with it: it may be
// a disk that is not mounted. Who begins is told at once what will not go away.
bool ArchiveSide::is_hopeless(const Error& error) const {
    if (is_no_matter_of_time(error)) return true;
    return !earlier_ && !error.retryable() && error.code() != ErrorCode::unavailable &&
           error.code() != ErrorCode::timed_out;
}

// Until `attempt` succeeds; false when it never will, or a stop was requested.
template <typename Attempt>
bool ArchiveSide::try_again_and_again(const std::stop_token& stop, Attempt&& attempt) {
    Duration delay = settings_.shipping.first_retry;
    while (!stop.stop_requested()) {
        try {
            attempt();
            alarms_.clear(opening_alarm);
            const std::scoped_lock lock(mutex_);
            last_error_.clear();
            changed_.notify_all();
            return true;
        } catch (const Error& error) {
            if (stop.stop_requested()) return false;
            const std::scoped_lock lock(mutex_);
            last_error_ = error.message();
            if (is_hopeless(error)) hopeless_ = std::current_exception();
            changed_.notify_all();
            if (hopeless_) return false;
        }
        alarms_.raise(opening_alarm,
                      fmt::format("the repository cannot be opened: {}. What comes is kept in {}{}",
                                  last_error(), receive_directory(settings_.spool_directory),
                                  vouches_for_spool()
                                      ? ""
                                      : ", and nothing is acknowledged before it is known that the "
                                        "server is the cluster of this source"));
        if (!wait(delay, stop)) return false;
        delay = std::min(delay * 2, settings_.shipping.last_retry);
    }
    return false;
}

bool ArchiveSide::wait(Duration duration, const std::stop_token& stop) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, duration, [] { return false; });
    return !stop.stop_requested();
}

bool ArchiveSide::open(const std::stop_token& stop) {
    return try_again_and_again(stop, [&] { repository_ = open_(); });
}

bool ArchiveSide::look_at_cluster(const std::stop_token& stop) {
    std::uint64_t system_identifier = 0;
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [&] { return system_identifier_ != 0; })) return false;
        system_identifier = system_identifier_;
    }
    return try_again_and_again(stop, [&] {
        const ArchiveId id = wal_archive_id(repository_->keys(), settings_.source, system_identifier);
        if (!settings_.new_cluster)
            expect_same_cluster(*repository_, settings_.source, id, settings_.spool_directory);
        const std::scoped_lock lock(mutex_);
        archive_.emplace(repository_->context(), id);
        known_ = true;
    });
}

void ArchiveSide::begin_shipping(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested() && !spool_.header()) {
        changed_.wait_for(lock, stop, look_again, [&] { return appended_; });
        appended_ = false;
    }
    if (stop.stop_requested()) return;
    WalPosition archived;
    if (earlier_ && earlier_->archive == archive_->id().hex()) archived = earlier_->archived;
    shipper_ = std::make_unique<WalShipper>(*repository_, *archive_, spool_, archived, settings_.shipping,
                                            alarms_, [this] { stored_.raise(); });
    changed_.notify_all();
}

} // namespace holdfast::postgres
