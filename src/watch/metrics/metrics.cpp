#include "watch/metrics/metrics.h"

#include "watch/metrics/exposition.h"

namespace holdfast {

namespace {

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double seconds_of(Timestamp time) { return seconds_of(time.time_since_epoch()); }

// Adds what is there.
class Writer {
  public:
    Writer() {
        for (const MetricDescription& metric : all_metrics())
            exposition_.declare(metric.name, metric.is_counter ? MetricType::counter : MetricType::gauge,
                                metric.help);
    }
    void add(std::string_view name, const MetricLabels& labels, double value) {
        exposition_.add(name, labels, value);
    }
    template <typename Value>
    void add(std::string_view name, const MetricLabels& labels, const std::optional<Value>& value) {
        if (!value) return;
        if constexpr (std::is_arithmetic_v<Value>) {
            add(name, labels, static_cast<double>(*value));
        } else {
            add(name, labels, seconds_of(*value));
        }
    }
    void add(std::string_view name, const MetricLabels& labels, const std::optional<Period>& period) {
        if (period) add(name, labels, seconds_of(period->longest()));
    }
    void flag(std::string_view name, const MetricLabels& labels, bool value) {
        add(name, labels, value ? 1.0 : 0.0);
    }
    std::string text() const { return exposition_.text(); }

  private:
    Exposition exposition_;
};

void write_backups(Writer& writer, const MetricLabels& labels, const SourceFacts& source, Timestamp at) {
    std::size_t good = 0;
    for (const BackupFacts& backup : source.backups) good += backup.good ? 1 : 0;
    const std::string& name = source.source;
    writer.add("holdfast_source_snapshots", {{"source", name}, {"state", "good"}}, static_cast<double>(good));
    writer.add("holdfast_source_snapshots", {{"source", name}, {"state", "partial"}},
               static_cast<double>(source.backups.size() - good));
    if (const BackupFacts* newest = source.newest()) {
        writer.add("holdfast_source_last_backup_timestamp_seconds", labels, seconds_of(newest->time));
        writer.flag("holdfast_source_last_backup_good", labels, newest->good);
        writer.add("holdfast_source_last_backup_bytes", labels, static_cast<double>(newest->bytes));
        writer.add("holdfast_source_last_backup_added_bytes", labels,
                   static_cast<double>(newest->added_bytes));
        writer.add("holdfast_source_last_backup_duration_seconds", labels, newest->took);
    }
    if (const BackupFacts* newest = source.newest_good()) {
        writer.add("holdfast_source_last_good_backup_timestamp_seconds", labels, seconds_of(newest->time));
        writer.add("holdfast_source_backup_age_seconds", labels, seconds_of(at - newest->time));
    }
}

void write_objectives(Writer& writer, const MetricLabels& labels, const SourceFacts& source,
                      const RuleBook& rules) {
    const Objectives& promised = source.objectives;
    if (source.backups_expected) {
        writer.add("holdfast_source_backup_age_objective_seconds", labels,
                   promised.backup_age
                       ? seconds_of(promised.backup_age->longest())
                       : static_cast<double>(rules.threshold(*find_rule("backup_old"), "age")));
    }
    if (promised.smallest_bytes)
        writer.add("holdfast_source_smallest_bytes_objective", labels,
                   static_cast<double>(*promised.smallest_bytes));
    if (promised.rpo) {
        writer.add("holdfast_source_exposure_objective_seconds", labels, promised.rpo);
    } else if (source.exposure_seconds && (source.receiver || source.kind == "postgresql")) {
        writer.add("holdfast_source_exposure_objective_seconds", labels,
                   static_cast<double>(rules.threshold(*find_rule("exposure"), "exposure")));
    }
    writer.add("holdfast_source_window_objective_seconds", labels, promised.window);
    writer.add("holdfast_source_recovery_objective_seconds", labels, promised.rto);
}

void write_source(Writer& writer, const SourceFacts& source, Timestamp at, const RuleBook& rules) {
    const std::string& name = source.source;
    const MetricLabels labels{{"source", name}};
    writer.flag("holdfast_source_known", labels, source.known);
    write_backups(writer, labels, source, at);
    write_objectives(writer, labels, source, rules);
    writer.add("holdfast_source_exposure_seconds", labels, source.exposure_seconds);
    writer.add("holdfast_source_window_start_timestamp_seconds", labels, source.window_start);
    writer.add("holdfast_source_window_end_timestamp_seconds", labels, source.window_end);
    double gap_seconds = 0;
    for (const GapFacts& gap : source.gaps) gap_seconds += seconds_of(gap.to - gap.from);
    writer.add("holdfast_source_gaps", labels, static_cast<double>(source.gaps.size()));
    writer.add("holdfast_source_gap_seconds", labels, gap_seconds);
    if (source.receiver)
        writer.add("holdfast_source_receiver_last_seen_timestamp_seconds", labels,
                   source.receiver->last_seen ? seconds_of(*source.receiver->last_seen) : 0.0);
    if (source.verification) {
        writer.add("holdfast_source_verification_timestamp_seconds", labels,
                   seconds_of(source.verification->time));
        writer.flag("holdfast_source_verification_good", labels, source.verification->good);
    }
    writer.add("holdfast_source_recovery_seconds", labels, source.recovery_seconds);
    writer.flag("holdfast_source_retention_blocked", labels, !source.retention_blocked.empty());
    for (const auto& [kind, operation] : source.operations) {
        const MetricLabels of_kind{{"source", name}, {"kind", kind}};
        writer.add("holdfast_source_operation_last_success_timestamp_seconds", of_kind,
                   operation.last_success);
        writer.add("holdfast_source_operation_last_success_duration_seconds", of_kind,
                   operation.last_success_took);
        writer.flag("holdfast_source_operation_last_state",
                    {{"source", name}, {"kind", kind}, {"state", std::string(to_string(operation.state))}},
                    true);
    }
}

void write_repository(Writer& writer, const RepositoryFacts& repository) {
    const MetricLabels labels{{"repository", repository.name}};
    writer.flag("holdfast_repository_reachable", labels, repository.reachable);
    writer.add("holdfast_repository_bytes", labels, repository.bytes);
    writer.add("holdfast_repository_disk_free_bytes", labels, repository.free_bytes);
    writer.add("holdfast_repository_disk_bytes", labels, repository.capacity_bytes);
    for (const auto& [kind, operation] : repository.operations) {
        writer.add("holdfast_repository_operation_last_success_timestamp_seconds",
                   {{"repository", repository.name}, {"kind", kind}}, operation.last_success);
        writer.flag("holdfast_repository_operation_last_state",
                    {{"repository", repository.name},
                     {"kind", kind},
                     {"state", std::string(to_string(operation.state))}},
                    true);
    }
}

void write_server(Writer& writer, const ServerFacts& server) {
    const MetricLabels labels{{"server", server.name}};
    writer.add("holdfast_server_clock_offset_seconds", {{"server", server.name}, {"against", "store"}},
               server.store_clock_offset_seconds);
    writer.add("holdfast_server_clock_offset_seconds", {{"server", server.name}, {"against", "database"}},
               server.database_clock_offset_seconds);
    writer.add("holdfast_server_certificate_end_timestamp_seconds", labels, server.certificate_end);
    writer.add("holdfast_monitor_last_round_timestamp_seconds", labels, server.last_round);
    if (server.last_round)
        writer.flag("holdfast_monitor_round_failed", labels, !server.round_problem.empty());
}

void write_monitor(Writer& writer, const MonitorNumbers& numbers, const RuleBook& rules) {
    writer.flag("holdfast_monitor_catalog_answers", {{"server", numbers.server}}, numbers.catalog_answers);
    for (const auto& [severity, count] : numbers.open_alerts)
        writer.add("holdfast_alerts", {{"severity", std::string(to_string(severity))}},
                   static_cast<double>(count));
    for (const Alert& alert : numbers.firing)
        writer.flag("holdfast_alert_firing",
                    {{"rule", alert.rule},
                     {"subject", alert.subject},
                     {"severity", std::string(to_string(alert.severity))},
                     {"state", std::string(to_string(alert.state))}},
                    true);
    for (const Rule& rule : all_rules())
        writer.flag("holdfast_alert_rule_on", {{"rule", std::string(rule.name)}}, rules.is_on(rule));
    for (const ChannelState& channel : numbers.channels) {
        const MetricLabels labels{{"channel", channel.channel}};
        writer.add("holdfast_notifications_waiting", labels, static_cast<double>(channel.waiting));
        writer.add("holdfast_notifications_sent_total", labels, static_cast<double>(channel.sent));
        writer.add("holdfast_notifications_failed_total", labels, static_cast<double>(channel.failed));
        writer.add("holdfast_notification_attempts_failed_in_a_row", labels,
                   static_cast<double>(channel.failed_in_a_row));
        writer.add("holdfast_notification_last_success_timestamp_seconds", labels, channel.last_success);
    }
    for (const MonitorNumbers::SelfTest& test : numbers.self_tests) {
        const MetricLabels labels{{"rule", test.rule}};
        writer.add("holdfast_alert_self_test_timestamp_seconds", labels, seconds_of(test.time));
        writer.flag("holdfast_alert_self_test_passed", labels, test.passed);
    }
}

} // namespace

std::string metrics_text(const Facts& facts, const MonitorNumbers& numbers, const RuleBook& rules) {
    Writer writer;
    writer.add("holdfast_facts_timestamp_seconds", {}, seconds_of(facts.at));
    for (const SourceFacts& source : facts.sources) write_source(writer, source, facts.at, rules);
    for (const RepositoryFacts& repository : facts.repositories) write_repository(writer, repository);
    for (const ServerFacts& server : facts.servers) write_server(writer, server);
    for (const auto& [state, count] : facts.operations)
        writer.add("holdfast_operations", {{"state", std::string(to_string(state))}},
                   static_cast<double>(count));
    for (const ChecklistFacts& list : facts.checklists) {
        writer.add("holdfast_checklist_due", {{"list", list.name}}, static_cast<double>(list.due));
        writer.add("holdfast_checklist_missed", {{"list", list.name}},
                   static_cast<double>(list.missed.size()));
    }
    write_monitor(writer, numbers, rules);
    return writer.text();
}

} // namespace holdfast
