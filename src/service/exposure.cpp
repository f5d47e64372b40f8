#include "service/exposure.h"

#include "base/error.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/recovery/unstored_commit.h"
#include "postgres/server/cluster_facts.h"
#include "postgres/server/connection.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr Duration patience = std::chrono::seconds(10);

// Looks for the oldest commit that is not stored, by each way that there is to the server's log.
class UnstoredCommits {
  public:
    UnstoredCommits(const ExposedServer& server, const postgres::ClusterFacts& facts,
                    const Repository& repository, const postgres::RecoverySource& from,
                    const std::stop_token& stop)
        : server_(server), facts_(facts), repository_(repository), from_(from), stop_(stop) {}

    void look(Exposure& exposure) const {
        const bool may_replicate = facts_.role.replication || facts_.role.superuser;
        if (!server_.data_directory.empty() && found_by(&UnstoredCommits::read_files, exposure)) return;
        if (may_replicate && found_by(&UnstoredCommits::stream, exposure)) return;
        exposure.since = exposure.known->last_stored;
        if (exposure.bound.empty())
            exposure.bound = facts_.role.name + " may not replicate, and no data_directory is set";
    }

  private:
    using Reading = void (UnstoredCommits::*)(const postgres::WrittenLog&, const postgres::TakeLog&) const;

    bool found_by(Reading reading, Exposure& exposure) const {
        const postgres::WalSource of{facts_.major(), facts_.wal_segment_bytes, facts_.system_identifier, 0};
        const postgres::WrittenLog log{from_.history_of(facts_.timeline), exposure.known->begin,
                                       facts_.position};
        try {
            exposure.since = first_unstored_commit(from_, of, log, [&](const auto& wanted, const auto& take) {
                (this->*reading)(wanted, take);
            });
            exposure.bound.clear();
            return true;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            exposure.bound = error.message();
            return false;
        }
    }

    void read_files(const postgres::WrittenLog& log, const postgres::TakeLog& take) const {
        postgres::read_log_files(server_.data_directory, facts_.wal_segment_bytes, log, take);
    }

    void stream(const postgres::WrittenLog& log, const postgres::TakeLog& take) const {
        postgres::ReplicationConnection connection({.conninfo = server_.connection}, stop_,
                                                   repository_.logger());
        postgres::stream_log(connection, log, patience, take, system_clock(), stop_);
    }

    const ExposedServer& server_;
    const postgres::ClusterFacts& facts_;
    const Repository& repository_;
    const postgres::RecoverySource& from_;
    const std::stop_token& stop_;
};

} // namespace

std::optional<double> Exposure::seconds(Timestamp now) const {
    if (!known) return std::nullopt;
    if (!since) return 0.0;
    return std::max(0.0, std::chrono::duration<double>(now + clock_ahead - *since).count());
}

Exposure measure_exposure(const ExposedServer& server, const Repository& repository,
                          const postgres::RecoverySource& from, const postgres::RecoveryWindow& window,
                          const std::stop_token& stop) {
    try {
        postgres::Connection connection({.conninfo = server.connection}, stop, repository.logger());
        const postgres::ClusterFacts facts =
            postgres::read_cluster_facts(connection, system_clock(), {}, stop);
        if (postgres::wal_archive_id(repository.keys(), from.name, facts.system_identifier) != from.archive)
            return {{}, "the server is another cluster than the one whose log this is"};
        Exposure exposure{
            postgres::log_exposure(from, window, facts.timeline, facts.position),
            fmt::format("no moment of the server's timeline {} can be recovered", facts.timeline)};
        if (std::chrono::abs(facts.clock_ahead) > facts.clock_uncertainty)
            exposure.clock_ahead = facts.clock_ahead;
        if (exposure.known && exposure.known->bytes > 0)
            UnstoredCommits(server, facts, repository, from, stop).look(exposure);
        return exposure;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return {{}, error.message()};
    }
}

} // namespace holdfast
