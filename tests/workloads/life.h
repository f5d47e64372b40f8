// The life of one cluster, from a seed: work of all kinds, crashes, promotions and rewinds, snapshots
// meanwhile, and after each what the snapshots are worth.
#pragma once

#include "support/cluster_rows.h"
#include "support/protected_source.h"
#include "support/snapshot_files.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace holdfast::workloads {

struct LifeSettings {
    std::uint64_t seed = 1;
    int version = 15;
    unsigned workloads = 6;                            // chains of snapshots, each with a recovery at its end
    bool keep = false;                                 // leaves files and servers as they are when it fails
    std::function<void(const std::string&)> narrate{}; // of every step; may be empty
};

// Something is not as it must be.
class Wrong final : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// PostgreSQL's own recovery from a crash failed, of the server that is protected: nothing of ours has to do
// with it, and the life ends here.
class ServerLost final : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// How much happened; a run in which little did proves nothing.
struct LifeCounts {
    std::uint64_t workloads = 0, statements = 0, refused = 0;
    std::uint64_t snapshots = 0, incremental = 0, of_standbys = 0, under_load = 0, interrupted = 0;
    std::uint64_t pages = 0, hinted = 0, newer = 0;
    std::uint64_t servers_lost = 0;
    std::uint64_t crashes = 0, promotions = 0, rewinds = 0, recoveries = 0, in_place = 0;
    std::map<std::string, std::uint64_t> full_because;

    void add(const LifeCounts& other);
    std::string str() const;
};

// A moment at which nothing was under way.
struct Moment {
    postgres::TimelineId timeline = 0;
    postgres::Lsn position;
    Timestamp time;
    std::string restore_point;
    test::ClusterRows rows;
    bool abandoned = false; // its timeline was left before it
};

class Life {
  public:
    explicit Life(const LifeSettings& settings);
    // Throws Wrong for what must not be, and whatever else went wrong.
    void run();
    const LifeCounts& counts() const { return counts_; }
    // The end of what the server logged, if it does not run any more; else empty.
    std::string last_words() const;

  private:
    void begin();
    void workload();
    void work(unsigned statements);
    void work_and_crash();
    void recover_from_crash();
    // Throws ServerLost when that is what a server, or a program that runs one, has told.
    void throw_if_lost(std::string_view told);
    void work_and_back_up();
    void finish(class Burst& burst);
    void restart();
    void toggle_checksums();
    void log_too_little();
    void remember();
    void back_up_at_rest();
    PostgresBackupResult back_up(const test::PostgresServer& server, test::AtRest at_rest);
    void judge(const test::PostgresServer& server, const PostgresBackupResult& result, test::AtRest at_rest);
    void archive(const test::PostgresServer& server);
    void archive(const test::PostgresServer& server, postgres::TimelineId timeline, postgres::Lsn end);
    // In switch_over.cpp.
    void switch_over();
    std::unique_ptr<test::PostgresServer> make_standby();
    void rewind(test::PostgresServer& old, test::PostgresServer& now);
    void rebuild_spgist_indexes();
    // In recovery_check.cpp.
    void recover();
    PostgresRestore choose_restore(const Moment& moment);
    void look_into(const PostgresRestore& what, const Moment& moment);

    bool chance(unsigned percent) { return random_.below(100) < percent; }
    template <typename... Values>
    void narrate(fmt::format_string<Values...> text, Values&&... values) const {
        if (settings_.narrate) settings_.narrate(fmt::format(text, std::forward<Values>(values)...));
    }
    static postgres::Lsn position(const test::PostgresServer& server);
    static postgres::TimelineId timeline(const test::PostgresServer& server);

    const LifeSettings settings_;
    SeededRandom random_;
    LifeCounts counts_;
    test::ProtectedSource source_;
    std::unique_ptr<test::PostgresServer> server_;
    bool checksums_ = false;
    bool hints_are_logged_ = false;
    bool autovacuum_ = false;
    std::uint64_t segment_bytes_ = 0;
    // From here on the archive is to have all of the log, by timeline.
    std::map<postgres::TimelineId, postgres::Lsn> archived_;
    std::vector<Moment> moments_; // behind a snapshot, and reachable from it
    bool has_snapshot_ = false;   // one that the next moment can be reached from
    unsigned restore_points_ = 0;
    std::string restored_; // where the last recovery went
    std::vector<postgres::TablespacePlace> restored_places_;
};

} // namespace holdfast::workloads
