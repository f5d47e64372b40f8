#include "base/error.h"
#include "base/file_descriptor.h"
#include "support/run_program.h"
#include "support/temporary_directory.h"
#include "watch/metrics/exposition.h"
#include "watch/metrics/metrics.h"

#include <cmath>
#include <fstream>
#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Not;

const Timestamp now = from_rfc3339("2026-11-20T12:00:00Z");

std::string text_of(const std::string& path) {
    const Bytes bytes = read_file(std::string(HOLDFAST_TEST_DATA) + "/../" + path, 1 << 20);
    return std::string(as_text(bytes));
}

// Facts in which every metric has a value.
Facts everything() {
    SourceFacts source;
    source.source = "orders \"\\\n日本";
    source.kind = "postgresql";
    source.objectives = {.rpo = Period{0, 60},
                         .rto = Period{0, 3600},
                         .backup_age = Period{0, 86'400},
                         .window = Period{0, 86'400},
                         .smallest_bytes = 10};
    BackupFacts backup;
    backup.time = now - std::chrono::hours(1);
    backup.bytes = 1ull << 40;
    backup.took = std::chrono::milliseconds(1500);
    source.backups = {backup};
    source.exposure_seconds = 0.25;
    source.window_start = now - std::chrono::hours(20);
    source.window_end = now;
    source.gaps = {{now - std::chrono::minutes(2), now - std::chrono::minutes(1)}};
    source.receiver = ReceiverFacts{};
    source.verification = VerificationFacts{.time = now};
    source.recovery_seconds = 12;
    OperationFacts operation;
    operation.state = OperationState::failed;
    operation.last_success = now;
    operation.last_success_took = std::chrono::seconds(5);
    source.operations["backup"] = operation;
    Facts facts;
    facts.at = now;
    facts.sources = {source};
    RepositoryFacts repository;
    repository.name = "main";
    repository.bytes = 1;
    repository.free_bytes = 2;
    repository.capacity_bytes = 3;
    repository.operations["retention"] = operation;
    facts.repositories = {repository};
    ServerFacts server;
    server.name = "server-1";
    server.store_clock_offset_seconds = -0.5;
    server.database_clock_offset_seconds = 0;
    server.certificate_end = now;
    server.last_round = now;
    facts.servers = {server};
    facts.operations = {{OperationState::queued, 3}};
    facts.checklists = {{.name = "daily", .due = 3, .missed = {"log"}}};
    return facts;
}

MonitorNumbers all_numbers() {
    Alert alert;
    alert.rule = "backup_failed";
    alert.subject = "orders";
    alert.state = AlertState::firing;
    return {.server = "server-1",
            .catalog_answers = true,
            .open_alerts = {{Severity::p1, 2}},
            .firing = {alert},
            .channels = {{.channel = "mail", .last_success = now}},
            .self_tests = {{.rule = "backup_old", .time = now, .passed = true}}};
}

TEST(ExpositionTest, IsWrittenAsPrometheusReadsIt) {
    Exposition exposition;
    exposition.declare("b", MetricType::counter, "A \\ and\na line");
    exposition.declare("a", MetricType::gauge, "Empty");
    exposition.declare("c", MetricType::gauge, "Last");
    exposition.add("c", {}, 1.5);
    exposition.add("b", {{"x", "q\"\\\n"}, {"y", "\xff"}}, 1e21);
    exposition.add("c", {}, 12'345'678'901);
    exposition.add("c", {{"x", ""}}, INFINITY);
    exposition.add("c", {{"x", "n"}}, NAN);
    EXPECT_EQ(exposition.text(),
              "# HELP b A \\\\ and\\na line\n# TYPE b counter\nb{x=\"q\\\"\\\\\\n\",y=\"?\"} 1e+21\n"
              "# HELP c Last\n# TYPE c gauge\nc 1.5\nc 12345678901\nc{x=\"\"} +Inf\nc{x=\"n\"} NaN\n");
    EXPECT_THROW(exposition.add("d", {}, 1), Error);
}

TEST(MetricsTest, EveryNameIsExportedAndDocumented) {
    const std::string text = metrics_text(everything(), all_numbers(), RuleBook());
    const std::string documentation = text_of("docs/metrics.md");
    for (const MetricDescription& metric : all_metrics()) {
        const std::string name(metric.name);
        EXPECT_TRUE(std::regex_search(text, std::regex("\n" + name + "[{ ]"))) << name;
        EXPECT_NE(documentation.find("| `" + name + "` |"), std::string::npos)
            << name << " is not documented";
        EXPECT_EQ(metric.is_counter, name.ends_with("_total")) << name;
    }
    EXPECT_THAT(text,
                HasSubstr("holdfast_source_exposure_seconds{source=\"orders \\\"\\\\\\n日本\"} 0.25\n"));
    EXPECT_THAT(
        text,
        HasSubstr("holdfast_source_last_backup_bytes{source=\"orders \\\"\\\\\\n日本\"} 1099511627776\n"));
    EXPECT_THAT(text, HasSubstr("holdfast_source_gap_seconds{source=\"orders \\\"\\\\\\n日本\"} 60\n"));
    EXPECT_THAT(text, HasSubstr("holdfast_alerts{severity=\"P1\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("holdfast_checklist_due{list=\"daily\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("holdfast_checklist_missed{list=\"daily\"} 1\n"));
    EXPECT_THAT(
        text,
        HasSubstr("holdfast_server_clock_offset_seconds{server=\"server-1\",against=\"store\"} -0.5\n"));
}

TEST(MetricsTest, WhatWasNotMeasuredIsLeftOut) {
    Facts facts;
    facts.at = now;
    facts.sources.push_back({.source = "orders"});
    const std::string text = metrics_text(facts, {.server = "server-1"}, RuleBook());
    EXPECT_THAT(text, Not(HasSubstr("holdfast_source_exposure_seconds")));
    EXPECT_THAT(text, Not(HasSubstr("holdfast_source_last_backup_timestamp_seconds")));
    EXPECT_THAT(text, HasSubstr("holdfast_monitor_catalog_answers{server=\"server-1\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("holdfast_source_backup_age_objective_seconds{source=\"orders\"} 93600\n"));
}

TEST(MetricsTest, PrometheusTakesWhatIsExported) {
    const test::TemporaryDirectory directory;
    std::ofstream(directory / "metrics") << metrics_text(everything(), all_numbers(), RuleBook());
    const auto run =
        test::run_program({"/bin/sh", "-c", "promtool check metrics < " + (directory / "metrics")}, {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error;
    EXPECT_EQ(run.error, "");
}

TEST(MetricsTest, DashboardAndRulesUseNamesThatAreExported) {
    std::set<std::string> known;
    for (const MetricDescription& metric : all_metrics()) known.emplace(metric.name);
    for (const char* path : {"deploy/grafana/holdfast.json", "deploy/prometheus/holdfast.rules.yml"}) {
        const std::string text = text_of(path);
        const std::regex name("holdfast_[a-z_]+");
        std::size_t count = 0;
        for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at, ++count)
            EXPECT_TRUE(known.contains(at->str())) << path << " uses " << at->str();
        EXPECT_GT(count, 10u) << path;
    }
    const auto run = test::run_program({"/bin/sh", "-c",
                                        std::string("promtool check rules ") + HOLDFAST_TEST_DATA +
                                            "/../deploy/prometheus/holdfast.rules.yml"},
                                       {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error;
}

TEST(MetricsTest, RulesThatWereNotTriedOfLateOrNeverAreTold) {
    const auto run = test::run_program(
        {"/bin/sh", "-c", "promtool test rules " HOLDFAST_TEST_DATA "/unit/watch/prometheus_rules_test.yml"},
        {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error;
}

} // namespace
} // namespace holdfast
