#include "base/error.h"
#include "watch/judgement.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr std::uint64_t gib = 1ull << 30;
const Timestamp now = from_rfc3339("2026-11-20T12:00:00Z");

BackupFacts backup(Duration age, std::uint64_t bytes = gib, bool good = true, std::string type = "full") {
    BackupFacts facts;
    facts.time = now - age;
    facts.bytes = bytes;
    facts.good = good;
    facts.type = std::move(type);
    facts.took = minutes(10);
    return facts;
}

// A source with which all is well.
SourceFacts healthy() {
    SourceFacts source;
    source.source = "orders";
    source.kind = "postgresql";
    source.expected_since = now - days(100);
    for (int day = 9; day >= 1; --day) source.backups.push_back(backup(hours(24 * day)));
    source.exposure_seconds = 10;
    source.window_start = now - days(30);
    source.window_end = now - seconds(10);
    ReceiverFacts receiver;
    receiver.name = "r";
    receiver.last_seen = now - seconds(5);
    source.receiver = receiver;
    source.verification = VerificationFacts{.time = now - hours(5)};
    OperationFacts last;
    last.state = OperationState::succeeded;
    source.operations["backup"] = last;
    source.operations["verify"] = last;
    return source;
}

RepositoryFacts roomy() {
    RepositoryFacts repository;
    repository.name = "main";
    repository.bytes = 100 * gib;
    repository.free_bytes = 500 * gib;
    repository.capacity_bytes = 1000 * gib;
    for (int day = 7; day >= 1; --day) repository.history.push_back({now - days(day), 99 * gib});
    OperationFacts last;
    last.state = OperationState::succeeded;
    repository.operations = {{"retention", last}, {"prune", last}};
    return repository;
}

ServerFacts fine_server() {
    ServerFacts server;
    server.name = "server-1";
    server.store_clock_offset_seconds = 0.5;
    server.database_clock_offset_seconds = -1;
    server.certificate_end = now + days(90);
    server.last_round = now - seconds(60);
    server.round_limit = minutes(5);
    return server;
}

Facts all_is_well() {
    Facts facts;
    facts.at = now;
    facts.sources = {healthy()};
    facts.repositories = {roomy()};
    facts.servers = {fine_server()};
    ChannelFacts channel;
    channel.name = "mail";
    facts.channels = {channel};
    facts.checklists = {{.name = "daily", .due = 2}};
    return facts;
}

std::optional<Judgement> judgement_of(const Facts& facts, std::string_view rule,
                                      const RuleBook& book = RuleBook()) {
    for (const Judgement& judgement : judge(facts, book))
        if (judgement.rule->name == rule) return judgement;
    return std::nullopt;
}

TEST(JudgementTest, NothingIsFoundWhereAllIsWell) {
    std::set<std::string_view> judged;
    for (const Judgement& judgement : judge(all_is_well(), RuleBook())) {
        EXPECT_EQ(judgement.verdict, Verdict::clear) << judgement.rule->name << ": " << judgement.summary;
        judged.insert(judgement.rule->name);
    }
    // Every rule but the one that needs a promise has looked.
    EXPECT_EQ(judged.size(), all_rules().size() - 1);
    EXPECT_FALSE(judged.contains("window_short"));
}

struct Case {
    const char* name;
    const char* rule;
    Verdict verdict;
    void (*change)(Facts& facts);
    const char* says = "";
    Severity severity = Severity::p1;
};

class JudgementTable : public testing::TestWithParam<Case> {};

TEST_P(JudgementTable, IsAsTheRuleSays) {
    Facts facts = all_is_well();
    GetParam().change(facts);
    const auto judgement = judgement_of(facts, GetParam().rule);
    ASSERT_TRUE(judgement);
    EXPECT_EQ(judgement->verdict, GetParam().verdict) << judgement->summary;
    EXPECT_THAT(judgement->summary, HasSubstr(GetParam().says));
    if (GetParam().verdict != Verdict::breach) return;
    EXPECT_EQ(judgement->severity, GetParam().severity);
    // What one thing causes is told once.
    for (const Judgement& other : judge(facts, RuleBook()))
        EXPECT_TRUE(other.verdict != Verdict::breach || other.rule == judgement->rule) << other.rule->name;
}

OperationFacts ended(OperationState state, const char* code = "", const char* error = "") {
    OperationFacts last;
    last.state = state;
    last.error_code = code;
    last.error = error;
    return last;
}

void set_sizes(SourceFacts& source, std::vector<std::uint64_t> sizes) {
    source.backups.clear();
    for (std::size_t i = 0; i < sizes.size(); ++i)
        source.backups.push_back(backup(hours(1 + 24 * (sizes.size() - 1 - i)), sizes[i]));
}

const Case cases[] = {
    {"NoBackup", "no_backup", Verdict::breach, [](Facts& f) { f.sources[0].backups.clear(); },
     "no backup at all"},
    {"NoGoodBackup", "no_backup", Verdict::breach,
     [](Facts& f) { f.sources[0].backups = {backup(hours(1), gib, false)}; }, "left something out"},
    {"NewSourceHasTime", "no_backup", Verdict::clear,
     [](Facts& f) {
         f.sources[0].backups.clear();
         f.sources[0].expected_since = now - hours(26);
     }},
    {"NewSourceHadItsTime", "no_backup", Verdict::breach,
     [](Facts& f) {
         f.sources[0].backups.clear();
         f.sources[0].expected_since = now - hours(26) - seconds(1);
     }},
    {"UnknownIsNotNone", "no_backup", Verdict::unknown,
     [](Facts& f) {
         f.sources[0].backups.clear();
         f.sources[0].known = false;
     }},
    {"AgeAtTheBorder", "backup_old", Verdict::clear,
     [](Facts& f) { f.sources[0].backups = {backup(hours(26))}; }},
    {"AgeBehindTheBorder", "backup_old", Verdict::breach,
     [](Facts& f) { f.sources[0].backups = {backup(hours(26) + seconds(1))}; }, "1 d 2 h", Severity::p2},
    {"AgeOfTheGoodOneCounts", "backup_old", Verdict::breach,
     [](Facts& f) { f.sources[0].backups = {backup(hours(40)), backup(hours(1), gib, false)}; }, "1 d 16 h",
     Severity::p2},
    {"AgeByObjective", "backup_old", Verdict::breach,
     [](Facts& f) {
         f.sources[0].backups = {backup(hours(7))};
         f.sources[0].objectives.backup_age = Period{0, 6 * 3600};
     },
     "at most 6 h", Severity::p2},
    {"Failed", "backup_failed", Verdict::breach,
     [](Facts& f) {
         f.sources[0].operations["backup"] = ended(OperationState::failed, "io", "disk on fire");
     },
     "disk on fire"},
    {"FailedIsNotTimedOut", "backup_failed", Verdict::clear,
     [](Facts& f) { f.sources[0].operations["backup"] = ended(OperationState::failed, "timed_out"); }},
    {"TimedOut", "backup_timed_out", Verdict::breach,
     [](Facts& f) {
         f.sources[0].operations["backup"] = ended(OperationState::failed, "timed_out", "after 2 h");
     },
     "after 2 h"},
    {"UnderWaySaysNothing", "backup_failed", Verdict::unknown,
     [](Facts& f) { f.sources[0].operations["backup"] = ended(OperationState::running); }},
    {"Incomplete", "backup_incomplete", Verdict::breach,
     [](Facts& f) { f.sources[0].operations["backup"] = ended(OperationState::incomplete); }, "",
     Severity::p3},
    {"ThreeTimesAsLongIsNotFar", "duration_anomaly", Verdict::clear,
     [](Facts& f) { f.sources[0].backups.back().took = minutes(30); }},
    {"LongerIs", "duration_anomaly", Verdict::breach,
     [](Facts& f) { f.sources[0].backups.back().took = minutes(31); }, "took 31 min", Severity::p3},
    {"ShorterByLittleIsNotFar", "duration_anomaly", Verdict::clear,
     [](Facts& f) { f.sources[0].backups.back().took = seconds(10); }},
    {"ShorterByMuchIs", "duration_anomaly", Verdict::breach,
     [](Facts& f) {
         for (BackupFacts& backup : f.sources[0].backups) backup.took = hours(5);
         f.sources[0].backups.back().took = minutes(30);
     },
     "took 30 min", Severity::p3},
    {"TooFewDurations", "duration_anomaly", Verdict::clear,
     [](Facts& f) {
         for (BackupFacts& backup : f.sources[0].backups) backup.took.reset();
         f.sources[0].backups.back().took = hours(5);
     },
     "too few"},
    {"DurationNotKnown", "duration_anomaly", Verdict::unknown,
     [](Facts& f) { f.sources[0].backups.back().took.reset(); }},
    {"VerificationThatCannotLook", "verification_failing", Verdict::breach,
     [](Facts& f) {
         f.sources[0].operations["verify"] = {
             .state = OperationState::failed, .error_code = "unavailable", .error = "no answer"};
     },
     "could not be carried out: no answer", Severity::p3},
    {"VerificationThatFound", "verification_failing", Verdict::clear,
     [](Facts& f) {
         f.sources[0].operations["verify"] = {.state = OperationState::failed, .error_code = "failed"};
     }},
    {"VerificationUnderWay", "verification_failing", Verdict::unknown,
     [](Facts& f) { f.sources[0].operations["verify"].state = OperationState::running; }},
    {"RetentionFails", "retention_failing", Verdict::breach,
     [](Facts& f) {
         f.repositories[0].operations["retention"] = {.state = OperationState::failed, .error = "denied"};
     },
     "the last retention failed: denied", Severity::p3},
    {"RetentionFailsWithASecret", "retention_failing", Verdict::breach,
     [](Facts& f) {
         f.repositories[0].operations["retention"] = {.state = OperationState::failed,
                                                      .error = "no answer of https://anna:geheim@store/"};
     },
     "no answer of https://anna:(left out)@store/", Severity::p3},
    {"RetentionLeftSomethingOut", "retention_failing", Verdict::clear,
     [](Facts& f) { f.repositories[0].operations["retention"].state = OperationState::incomplete; }},
    {"PruneFails", "prune_failing", Verdict::breach,
     [](Facts& f) { f.repositories[0].operations["prune"].state = OperationState::failed; },
     "the last prune failed", Severity::p3},
    {"PruneNeverRan", "prune_failing", Verdict::unknown,
     [](Facts& f) { f.repositories[0].operations.erase("prune"); }},
    {"Floor", "size_anomaly", Verdict::breach,
     [](Facts& f) { f.sources[0].objectives.smallest_bytes = gib + 1; }, "less than the 1.0 GiB",
     Severity::p2},
    {"FloorIsMet", "size_anomaly", Verdict::clear,
     [](Facts& f) { f.sources[0].objectives.smallest_bytes = gib; }},
    {"HalfIsNotFar", "size_anomaly", Verdict::clear,
     [](Facts& f) { set_sizes(f.sources[0], {8, 8, 8, 8, 8, 8, 8, 4}); }},
    {"LessThanHalfIs", "size_anomaly", Verdict::breach,
     [](Facts& f) { set_sizes(f.sources[0], {800, 800, 800, 800, 800, 800, 800, 399}); }, "", Severity::p2},
    {"MoreThanTwiceIs", "size_anomaly", Verdict::breach,
     [](Facts& f) { set_sizes(f.sources[0], {800, 800, 800, 800, 800, 800, 800, 1601}); }, "", Severity::p2},
    {"OneWildSizeBeforeHidesNothing", "size_anomaly", Verdict::breach,
     [](Facts& f) { set_sizes(f.sources[0], {800, 9, 800, 800, 800, 900'000, 800, 300}); }, "", Severity::p2},
    {"WhatVariesMayVary", "size_anomaly", Verdict::clear,
     [](Facts& f) { set_sizes(f.sources[0], {100, 300, 900, 200, 500, 120, 800, 2000}); }},
    {"TooFewToCompare", "size_anomaly", Verdict::clear,
     [](Facts& f) { set_sizes(f.sources[0], {800, 800, 800, 800, 800, 800, 1}); }},
    {"OnlyTheSameTypeIsCompared", "size_anomaly", Verdict::clear,
     [](Facts& f) { f.sources[0].backups.push_back(backup(hours(1), 1, true, "incremental")); }},
    {"NothingAtAllIsFar", "size_anomaly", Verdict::breach,
     [](Facts& f) { f.sources[0].backups.push_back(backup(hours(1), 0)); }, "0 B", Severity::p2},
    {"Verification", "verification_failed", Verdict::breach,
     [](Facts& f) {
         f.sources[0].verification =
             VerificationFacts{.time = now, .good = false, .problem = "pack 12 is damaged"};
     },
     "pack 12"},
    {"NeverVerified", "verification_failed", Verdict::unknown,
     [](Facts& f) { f.sources[0].verification.reset(); }},
    {"Blocked", "retention_blocked", Verdict::breach,
     [](Facts& f) { f.sources[0].retention_blocked = "the log could not be read"; }, "the log could",
     Severity::p3},
    {"Exposure", "exposure", Verdict::breach, [](Facts& f) { f.sources[0].exposure_seconds = 901; },
     "at most 15 min", Severity::p2},
    {"ExposureByObjective", "exposure", Verdict::breach,
     [](Facts& f) { f.sources[0].objectives.rpo = Period{0, 5}; }, "at most 5 s", Severity::p2},
    {"ExposureNotMeasured", "exposure", Verdict::unknown,
     [](Facts& f) { f.sources[0].exposure_seconds.reset(); }},
    {"Gap", "log_gap", Verdict::breach,
     [](Facts& f) { f.sources[0].gaps = {{now - hours(5), now - hours(4)}}; }, "2026-11-20T07:00:00Z"},
    {"OldGap", "log_gap", Verdict::clear,
     [](Facts& f) { f.sources[0].gaps = {{now - days(9), now - days(8)}}; }},
    {"GapOfALogThatCouldNotBeRead", "log_gap", Verdict::unknown,
     [](Facts& f) { f.sources[0].log_known = false; }},
    {"ReceiverSilent", "receiver_down", Verdict::breach,
     [](Facts& f) { f.sources[0].receiver->last_seen = now - seconds(301); }, "5 min 1 s", Severity::p2},
    {"ReceiverNeverSeen", "receiver_down", Verdict::breach,
     [](Facts& f) { f.sources[0].receiver->last_seen.reset(); }, "never", Severity::p2},
    {"ReceiverNotSeenInALongLook", "receiver_down", Verdict::breach,
     [](Facts& f) { f.sources[0].receiver = ReceiverFacts{.name = "r", .asked_since = now - seconds(301)}; },
     "never", Severity::p2},
    {"ReceiverNotSeenInAGlance", "receiver_down", Verdict::unknown,
     [](Facts& f) { f.sources[0].receiver = ReceiverFacts{.name = "r", .asked_since = now - seconds(299)}; }},
    {"WindowShort", "window_short", Verdict::breach,
     [](Facts& f) { f.sources[0].objectives.window = Period{0, 40 * 86'400}; }, "30 d", Severity::p2},
    {"WindowLongEnough", "window_short", Verdict::clear,
     [](Facts& f) { f.sources[0].objectives.window = Period{0, 30 * 86'400}; }},
    {"ShortWindowThatIsNotReached", "window_short", Verdict::breach,
     [](Facts& f) {
         f.sources[0].objectives.window = Period{0, 8 * 3600};
         f.sources[0].window_start = now - hours(5);
     },
     "5 h", Severity::p2},
    {"ShortWindowOfWhichTheFirstIsJustGone", "window_short", Verdict::clear,
     [](Facts& f) {
         f.sources[0].objectives.window = Period{0, 8 * 3600};
         f.sources[0].window_start = now - hours(7);
     }},
    {"ShortWindowThatIsGone", "window_short", Verdict::breach,
     [](Facts& f) {
         f.sources[0].objectives.window = Period{0, 3600};
         f.sources[0].window_start.reset();
     },
     "no moment", Severity::p2},
    {"WindowOfALogThatCouldNotBeRead", "window_short", Verdict::unknown,
     [](Facts& f) {
         f.sources[0].objectives.window = Period{0, 40 * 86'400};
         f.sources[0].window_start.reset();
         f.sources[0].log_known = false;
     }},
    {"WindowOfNewSource", "window_short", Verdict::clear,
     [](Facts& f) {
         f.sources[0].objectives.window = Period{0, 40 * 86'400};
         f.sources[0].expected_since = now - days(30);
     }},
    {"Unreachable", "repository_unreachable", Verdict::breach,
     [](Facts& f) {
         f.repositories[0].reachable = false;
         f.repositories[0].problem = "not mounted";
     },
     "not mounted"},
    {"StorageLow", "storage_low", Verdict::breach, [](Facts& f) { f.repositories[0].free_bytes = 99 * gib; },
     "9.9%"},
    {"StorageAtTheBorder", "storage_low", Verdict::between,
     [](Facts& f) { f.repositories[0].free_bytes = 100 * gib; }},
    {"StorageNearlyClear", "storage_low", Verdict::between,
     [](Facts& f) { f.repositories[0].free_bytes = 119 * gib; }},
    {"StorageClear", "storage_low", Verdict::clear,
     [](Facts& f) { f.repositories[0].free_bytes = 120 * gib; }},
    {"StorageInABucket", "storage_low", Verdict::unknown,
     [](Facts& f) { f.repositories[0].free_bytes.reset(); }},
    {"Growth", "storage_growing", Verdict::breach, [](Facts& f) { f.repositories[0].bytes = 150 * gib; },
     "52%", Severity::p3},
    {"FullSoon", "storage_growing", Verdict::breach,
     [](Facts& f) {
         f.repositories[0].bytes = 140 * gib;
         f.repositories[0].free_bytes = 50 * gib;
         f.repositories[0].capacity_bytes = 190 * gib;
     },
     "full within 8 d", Severity::p3},
    {"GrowthNotSeenLongEnough", "storage_growing", Verdict::clear,
     [](Facts& f) {
         f.repositories[0].bytes = 150 * gib;
         f.repositories[0].history = {{now - days(3), 99 * gib}};
     }},
    {"ClockAhead", "clock_off", Verdict::breach,
     [](Facts& f) { f.servers[0].store_clock_offset_seconds = 61; }, "ahead of that of the store",
     Severity::p2},
    {"ClockBehind", "clock_off", Verdict::breach,
     [](Facts& f) { f.servers[0].database_clock_offset_seconds = -90; }, "behind that of the database",
     Severity::p2},
    {"ClockNearly", "clock_off", Verdict::between,
     [](Facts& f) { f.servers[0].store_clock_offset_seconds = 31; }},
    {"ClockLeapt", "clock_off", Verdict::breach, [](Facts& f) { f.servers[0].clock_doubt = "it has leapt"; },
     "it has leapt", Severity::p2},
    {"ClockBelievedAndNotCompared", "clock_off", Verdict::clear,
     [](Facts& f) {
         f.servers[0].store_clock_offset_seconds.reset();
         f.servers[0].database_clock_offset_seconds.reset();
         f.servers[0].clock_doubt = "";
     }},
    {"ClockNotComparedYet", "clock_off", Verdict::unknown,
     [](Facts& f) {
         f.servers[0].store_clock_offset_seconds.reset();
         f.servers[0].clock_doubt = "";
         f.servers[0].clock_compared = false;
     }},
    {"ClockOffAndNotComparedWithAll", "clock_off", Verdict::breach,
     [](Facts& f) {
         f.servers[0].store_clock_offset_seconds.reset();
         f.servers[0].database_clock_offset_seconds = 61;
         f.servers[0].clock_compared = false;
     },
     "that of the database", Severity::p2},
    {"ClockNotCompared", "clock_off", Verdict::unknown,
     [](Facts& f) {
         f.servers[0].store_clock_offset_seconds.reset();
         f.servers[0].database_clock_offset_seconds.reset();
     }},
    {"Certificate", "certificate_expiring", Verdict::breach,
     [](Facts& f) { f.servers[0].certificate_end = now + days(20); }, "ends in 20 d", Severity::p3},
    {"CertificateUrgent", "certificate_expiring", Verdict::breach,
     [](Facts& f) { f.servers[0].certificate_end = now + days(2); }, "ends in 2 d", Severity::p1},
    {"CertificateEnded", "certificate_expiring", Verdict::breach,
     [](Facts& f) { f.servers[0].certificate_end = now - hours(2); }, "ended 2 h ago", Severity::p1},
    {"MonitorThrew", "monitor_failing", Verdict::breach,
     [](Facts& f) { f.servers[0].round_problem = "the catalog is gone"; }, "the catalog is gone"},
    {"MonitorSilent", "monitor_failing", Verdict::breach,
     [](Facts& f) { f.servers[0].last_round = now - minutes(6); }, "6 min ago"},
    {"ChannelFailsOnce", "channel_failing", Verdict::between,
     [](Facts& f) { f.channels[0].failed_in_a_row = 1; }},
    {"ChannelFails", "channel_failing", Verdict::breach,
     [](Facts& f) {
         f.channels[0].failed_in_a_row = 3;
         f.channels[0].last_error = "refused";
     },
     "refused", Severity::p2},
    {"ChecklistMissed", "checklist_missed", Verdict::breach,
     [](Facts& f) { f.checklists[0].missed = {"access", "contacts"}; }, "access, contacts", Severity::p4},
};
INSTANTIATE_TEST_SUITE_P(Cases, JudgementTable, testing::ValuesIn(cases),
                         [](const auto& each) { return each.param.name; });

TEST(JudgementTest, RulesCanBeSetAndSwitchedOff) {
    Facts facts = all_is_well();
    facts.sources[0].backups = {backup(hours(20))};
    EXPECT_EQ(judgement_of(facts, "backup_old")->verdict, Verdict::clear);
    const RuleBook strict(
        {{"backup_old", parse_rule_settings("backup_old", R"({"age": "12h", "severity": "p1"})")},
         {"exposure", parse_rule_settings("exposure", R"({"off": true})")}});
    const auto judgement = judgement_of(facts, "backup_old", strict);
    EXPECT_EQ(judgement->verdict, Verdict::breach);
    EXPECT_EQ(judgement->severity, Severity::p1);
    EXPECT_FALSE(judgement_of(facts, "exposure", strict));
}

TEST(JudgementTest, SourcesThatNeedNoBackupsAreNotAskedForThem) {
    Facts facts = all_is_well();
    facts.sources[0].backups.clear();
    facts.sources[0].backups_expected = false;
    facts.sources[0].receiver->last_seen.reset();
    for (const Judgement& judgement : judge(facts, RuleBook()))
        EXPECT_NE(judgement.verdict, Verdict::breach) << judgement.rule->name;
}

TEST(JudgementTest, DocumentsHaveNoExposureWithoutAnObjective) {
    Facts facts = all_is_well();
    facts.sources[0].kind = "documents";
    facts.sources[0].receiver.reset();
    facts.sources[0].exposure_seconds = 80'000;
    EXPECT_FALSE(judgement_of(facts, "exposure"));
    EXPECT_FALSE(judgement_of(facts, "receiver_down"));
    facts.sources[0].objectives.rpo = Period{0, 24 * 3600};
    EXPECT_EQ(judgement_of(facts, "exposure")->verdict, Verdict::clear);
}

TEST(JudgementTest, LengthsAndSizesAreReadable) {
    EXPECT_EQ(length_text(0), "0 s");
    EXPECT_EQ(length_text(59.6), "1 min");
    EXPECT_EQ(length_text(3600), "1 h");
    EXPECT_EQ(length_text(93'784), "1 d 2 h");
    EXPECT_EQ(length_text(-90), "-1 min 30 s");
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(1536), "1.5 KiB");
}

} // namespace
} // namespace holdfast
