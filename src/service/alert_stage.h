// The sandbox in which causes of alerts are brought about. Internal to try_alert().
#pragma once

#include "base/error.h"
#include "catalog/operations.h"
#include "repository/repository.h"
#include "service/alert_sandbox.h"
#include "service/sandbox_cluster.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace holdfast {

// The machine's clock, which can be moved.
class MovableClock final : public Clock {
  public:
    Timestamp now() const override { return system_clock().now() + shift(); }
    Duration steady() const override { return system_clock().steady() + shift(); }
    bool sleep_for(Duration duration, std::stop_token stop) override {
        return system_clock().sleep_for(duration, std::move(stop));
    }
    void advance(Duration duration) { nanoseconds_ += duration.count(); }
    Duration shift() const { return Duration(nanoseconds_.load()); }

  private:
    std::atomic<std::int64_t> nanoseconds_ = 0;
};

// Who waits by it waits no time of the machine: `clock` goes ahead.
class HurriedClock final : public Clock {
  public:
    explicit HurriedClock(MovableClock& clock) : clock_(clock) {}
    Timestamp now() const override { return clock_.now(); }
    Duration steady() const override { return clock_.steady(); }
    bool sleep_for(Duration duration, std::stop_token stop) override {
        clock_.advance(duration);
        return !stop.stop_requested();
    }

  private:
    MovableClock& clock_;
};

// A directory that goes with its owner, and a small disk mounted in it.
class SandboxDirectory {
  public:
    explicit SandboxDirectory(const std::string& parent);
    ~SandboxDirectory();
    SandboxDirectory(const SandboxDirectory&) = delete;
    SandboxDirectory& operator=(const SandboxDirectory&) = delete;

    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    // At most once. Throws Error(unsupported) when this process may not mount.
    std::string mount_disk(std::uint64_t bytes);
    const std::string& path() const { return path_; }

  private:
    std::string path_;
    bool mounted_ = false;
};

class AlertStage {
  public:
    AlertStage(const Rule& rule, const AlertTrialSettings& settings, Logger& logger, std::stop_token stop);
    ~AlertStage();

    static constexpr const char* source = "test-of-alerts";

    MovableClock clock;
    SandboxDirectory directory;

    // What causes are made of.
    void write_file(const std::string& name, std::size_t bytes);
    std::string tree() const { return directory / "source"; }
    const std::string& repository_directory() const { return repository_directory_; }
    Repository& repository() { return *repository_; }
    // As an operation, whatever comes of it; stopped and ended as timed out after `limit`.
    void back_up(std::optional<Duration> limit = std::nullopt);
    // The same of other work, each with the repository opened for it, as programs of the server do.
    void apply_retention();
    void prune();
    void verify_as_planned();
    // The store takes so much time of the sandbox for the next pack.
    void delay_next_write(Duration by);
    // The store takes so many bytes a second from now on.
    void slow_down(std::uint64_t bytes_per_second);
    // The store takes nothing from now on, and can still be read.
    void refuse_writes();
    // What a machine whose clock is wrong by `error` finds when it compares it with that of the store, in
    // seconds; nothing where the store tells none.
    std::optional<double> clock_offset(Duration error);
    // Reads everything back, and remembers the result.
    void verify();
    // Applies rules that keep one snapshot, and remembers why that is refused.
    void enforce_retention_here();

    // A PostgreSQL of the sandbox's own, for the source.
    void start_cluster();
    SandboxCluster& cluster() { return *cluster_; }

    // What the facts of the next rounds say beside what is measured.
    std::function<void(Facts& facts)> add_facts;
    // The clock goes a minute ahead, and the monitor takes a round.
    void round();
    // Channels that the rule reaches, by its severity and their routes, when nobody acknowledges it: step by
    // step, with rounds at the times at which each is due. The alert must be firing.
    std::vector<std::string> tell_all_steps();
    bool rounds_stopped = false; // the monitor hangs: nobody calls round()

    std::optional<Alert> alert();
    Watch& watch() { return *watch_; }
    const RuleBook& rules() const { return rules_; }
    const std::stop_token& stop() const { return stop_; }

  private:
    // Returns whether nothing was left out.
    using Work = std::function<bool(const std::stop_token& stop)>;
    // As an operation, whatever comes of it; stopped and ended as timed out after `limit`.
    void carry_out(const char* kind, std::optional<std::string> about, std::optional<Duration> limit,
                   const Work& work);
    std::shared_ptr<Store> store_of(std::uint64_t bytes_per_second);
    // As a machine that goes by `time` opens it.
    std::unique_ptr<Repository> opened(std::shared_ptr<Store> store, Clock& time);
    Facts gather();

    const Rule& rule_;
    RuleBook rules_;
    Logger& logger_;
    std::stop_token stop_;
    std::unique_ptr<Catalog> catalog_;
    std::unique_ptr<Operations> operations_;
    std::string repository_directory_;
    HurriedClock hurry_{clock};
    std::unique_ptr<Repository> repository_;
    std::unique_ptr<Watch> watch_;
    const std::string parent_;
    // Of its own, since it is given to the user that the server runs as.
    std::optional<SandboxDirectory> cluster_directory_;
    std::unique_ptr<SandboxCluster> cluster_;
    std::optional<VerificationFacts> verification_;
    std::string retention_blocked_;
    Timestamp begun_{};
};

// How the cause of a rule is brought about.
struct AlertCause {
    std::string_view rule;
    std::string_view words;             // what is done
    void (*prepare)(AlertStage& stage); // so that all is well; null: a backup is made
    void (*bring_about)(AlertStage& stage);
};
const std::vector<AlertCause>& alert_causes();

} // namespace holdfast
