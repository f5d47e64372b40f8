#include "service/measure.h"

#include "base/error.h"
#include "base/task_group.h"
#include "postgres/recovery/recovery_estimate.h"
#include "postgres/recovery/recovery_plan.h"
#include "postgres/server/slots.h"
#include "service/space_watch.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// As far back as sizes are compared.
constexpr std::size_t most_backups = 60;

BackupFacts backup_facts(const Snapshot& snapshot, const RetentionSubject& subject) {
    return {.time = snapshot.end,
            .good = subject.complete && !subject.damaged && subject.restorable,
            .type = subject.class_name,
            .bytes = snapshot.totals.bytes,
            .added_bytes = snapshot.totals.stored_bytes,
            .took = snapshot.end - snapshot.time};
}

// When any snapshot was last looked at, and the newest finding of damage that stands.
void look_at_verifications(const SourceSnapshots& source, std::optional<VerificationFacts>& facts) {
    for (const AnnotatedSnapshot& one : source.snapshots) {
        const Statement* stands = standing_verification(one.standing);
        if (stands == nullptr) continue;
        if (!facts) facts = VerificationFacts{};
        facts->time = std::max(facts->time, one.standing.verifications.back().time);
        if (!is_damaged(one.standing)) continue;
        facts->good = false;
        facts->problem = fmt::format("snapshot {} was found damaged at {}", one.snapshot.id.hex(),
                                     to_rfc3339(stands->time));
    }
}

class Measuring {
  public:
    Measuring(Repository& repository, const std::vector<Policy>& declared, const MeasureSettings& settings,
              const std::stop_token& stop)
        : repository_(repository), declared_(declared), settings_(settings), stop_(stop) {}

    ProtectionStatus measure() {
        // A disk that is not mounted looks empty, and is not.
        if (!repository_.store().head(std::string(config_name), {}))
            throw Error(ErrorCode::unavailable,
                        fmt::format("the repository is not at {}", repository_.store().url()),
                        "see whether its disk is mounted", true);
        RetentionView view = view_retention(repository_, declared_, std::nullopt);
        std::map<std::string, SourceMeasurement> sources;
        for (const MeasuredSource& source : settings_.sources) {
            SourceFacts& facts = sources[source.name].facts;
            facts.source = source.name;
            facts.kind = source.kind;
            facts.backups_expected = true;
        }
        ProtectionStatus result;
        result.problems = std::move(view.problems);
        result.unread = std::move(view.unread);
        result.unreadable = view.unreadable;
        result.statements = std::move(view.statements);
        for (SourceSnapshots& stored : view.sources) {
            add(stored, sources[stored.source]);
            std::ranges::move(stored.snapshots, std::back_inserter(result.snapshots));
            result.retention.push_back({stored.source, stored.domain, stored.blocked,
                                        std::move(stored.subjects),
                                        stored.policy ? std::optional(*stored.policy) : std::nullopt});
        }
        std::ranges::stable_sort(result.snapshots, std::ranges::greater(),
                                 [](const AnnotatedSnapshot& one) { return one.snapshot.end; });
        for (auto& [name, measurement] : sources) {
            promise(view.policies, measurement);
            result.sources.push_back(std::move(measurement));
        }
        for (SourceMeasurement& source : result.sources)
            if (source.facts.kind == postgres::snapshot_kind && source.snapshots > 0) look_at_log(source);
        const std::string url = repository_.store().url();
        result.repository.name = url;
        if (const auto space = space_of_repository(url)) {
            result.repository.free_bytes = space->free_bytes;
            result.repository.capacity_bytes = space->capacity_bytes;
        }
        return result;
    }

  private:
    // A source may lie in several domains; all of it is told.
    void add(const SourceSnapshots& stored, SourceMeasurement& measurement) {
        SourceFacts& facts = measurement.facts;
        if (facts.source.empty()) {
            facts.source = stored.source;
            facts.backups_expected = false;
        }
        measurement.snapshots += stored.snapshots.size();
        const std::size_t count = stored.snapshots.size();
        for (std::size_t i = count > most_backups ? count - most_backups : 0; i < count; ++i)
            facts.backups.push_back(backup_facts(stored.snapshots[i].snapshot, stored.subjects[i]));
        std::ranges::stable_sort(facts.backups, {}, &BackupFacts::time);
        if (facts.kind.empty() && count > 0) facts.kind = stored.snapshots.back().snapshot.kind;
        if (facts.retention_blocked.empty()) facts.retention_blocked = stored.blocked;
        look_at_verifications(stored, facts.verification);
    }

    static void promise(const std::vector<Policy>& policies, SourceMeasurement& measurement) {
        SourceFacts& facts = measurement.facts;
        try {
            const Policy* policy = policy_for(policies, facts.source);
            if (policy == nullptr) return;
            facts.policy = policy->name;
            facts.objectives = policy->objectives;
        } catch (const Error& error) {
            measurement.notes.push_back(error.message());
        }
    }

    void look_at_log(SourceMeasurement& measurement) {
        measurement.facts.log_known = false;
        try {
            const postgres::RecoverySource from =
                postgres::load_recovery_source(repository_, measurement.facts.source, {}, {.stop = stop_});
            const postgres::RecoveryWindow window = postgres::recovery_window(from);
            tell_window(measurement.facts, window);
            measurement.window = window;
            if (const MeasuredSource* source = configured(measurement.facts.source))
                look_at_server(*source, from, window, measurement);
            if (settings_.estimate_recovery) estimate(from, measurement);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            measurement.notes.push_back(error.message());
        }
    }

    // The stretch that reaches the present, and what is missing within it and behind it.
    void tell_window(SourceFacts& facts, const postgres::RecoveryWindow& window) const {
        facts.window_start = window.continuous_from();
        facts.window_end = window.latest();
        facts.log_known = true;
        for (const postgres::RecoveryGap& gap : window.gaps) {
            if (!gap.after) continue; // nothing before it can be recovered anyway
            facts.gaps.push_back({.from = *gap.after, .to = gap.before.value_or(now())});
        }
    }

    void look_at_server(const MeasuredSource& source, const postgres::RecoverySource& from,
                        const postgres::RecoveryWindow& window, SourceMeasurement& measurement) const {
        if (!source.connection.empty()) {
            measurement.exposure = measure_exposure({source.connection, source.data_directory}, repository_,
                                                    from, window, stop_);
            measurement.facts.exposure_seconds = measurement.exposure->seconds(now());
            if (!measurement.exposure->known) measurement.exposure_unknown = measurement.exposure->unknown;
        }
        if (!source.receive_state.empty())
            measurement.receiver = postgres::read_receive_state(source.receive_state);
        if (const auto& state = measurement.receiver) {
            measurement.facts.receiver = ReceiverFacts{.name = source.name, .last_seen = state->time};
            for (const std::string& alarm : state->alarms) measurement.notes.push_back("receiver: " + alarm);
        } else if (!source.slot.empty() && !source.connection.empty()) {
            look_for_receiver(source, measurement);
        }
    }

    // One that does not report here may run on another machine, or never have run: the server knows.
    void look_for_receiver(const MeasuredSource& source, SourceMeasurement& measurement) const {
        try {
            postgres::Connection server({.conninfo = source.connection}, stop_, repository_.logger());
            const auto slot = postgres::read_slot(server, source.slot, stop_);
            ReceiverFacts receiver{.name = source.name};
            if (slot && slot->active_pid) receiver.last_seen = now();
            measurement.facts.receiver = receiver;
        } catch (const Error& error) {
            // That the server does not answer is told with what would be lost.
            if (error.code() == ErrorCode::cancelled) throw;
        }
    }

    void estimate(const postgres::RecoverySource& from, SourceMeasurement& measurement) const {
        const postgres::RecoveryPlan plan =
            postgres::plan_recovery(from, {.target = postgres::RecoverToEnd{}});
        const auto estimate =
            postgres::estimate_recovery(from, plan, plan.snapshot_bytes, worker_count(), repository_.clock());
        if (estimate) measurement.estimated_recovery_seconds = estimate->seconds();
    }

    // Asked anew for each thing: to look at a source may take long.
    Timestamp now() const { return repository_.clock().now(); }

    const MeasuredSource* configured(const std::string& name) const {
        const auto found = std::ranges::find(settings_.sources, name, &MeasuredSource::name);
        return found == settings_.sources.end() ? nullptr : &*found;
    }

    Repository& repository_;
    const std::vector<Policy>& declared_;
    const MeasureSettings& settings_;
    const std::stop_token& stop_;
};

} // namespace

Facts ProtectionStatus::facts(Timestamp at) const {
    Facts facts{.at = at};
    for (const SourceMeasurement& source : sources) facts.sources.push_back(source.facts);
    facts.repositories.push_back(repository);
    return facts;
}

ProtectionStatus measure(Repository& repository, const std::vector<Policy>& declared,
                         const MeasureSettings& settings, const std::stop_token& stop) {
    return Measuring(repository, declared, settings, stop).measure();
}

} // namespace holdfast
