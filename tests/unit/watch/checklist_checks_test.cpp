// What ticks itself, and what does not.
#include "watch/checklist_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using testing::HasSubstr;

const Timestamp now = from_rfc3339("2026-11-20T12:00:00Z");
const TimeSpan today{from_rfc3339("2026-11-20T00:00:00Z"), from_rfc3339("2026-11-21T00:00:00Z")};

BackupFacts backup(const char* time, bool good = true) {
    return {.time = from_rfc3339(time), .good = good, .type = "full"};
}

SourceFacts source(const std::string& name, const std::string& kind = "documents") {
    SourceFacts source{.source = name, .kind = kind, .expected_since = now - days(100)};
    source.backups = {backup("2026-11-18T02:14:07.5Z"), backup("2026-11-19T02:14:07.5Z"),
                      backup("2026-11-20T02:14:07.5Z")};
    source.verification = VerificationFacts{.time = now - hours(2)};
    return source;
}

// A server with which all is well: a database and two trees.
struct World {
    World() {
        SourceFacts orders = source("orders", "postgresql");
        orders.objectives.window = Period{0, 7 * 86'400};
        orders.exposure_seconds = 5;
        orders.window_start = now - days(30);
        orders.window_end = now - minutes(1);
        facts.sources = {orders, source("mails"), source("home")};
        RepositoryFacts repository{.name = "main"};
        repository.free_bytes = 500;
        repository.capacity_bytes = 1000;
        facts.repositories = {repository};
        ServerFacts server{.name = "server-1"};
        server.certificate_end = now + days(90);
        facts.servers = {server, {.name = "server-2"}};
        facts.channels = {{.name = "mail"}};
    }
    SourceFacts& orders() { return facts.sources[0]; }
    CheckFinding find(ChecklistCheck check) {
        return find_by_check(check, {.facts = facts,
                                     .rules = rules,
                                     .period = today,
                                     .open_alerts = alerts,
                                     .last_success = successes,
                                     .trail = trail});
    }

    Facts facts{.at = now};
    RuleBook rules;
    std::map<Severity, std::int64_t> alerts{{Severity::p3, 2}};
    std::map<std::string, Timestamp> successes{{"retention", now - hours(11)}, {"restore", now - hours(3)}};
    std::optional<TrailFacts> trail = TrailFacts{.at = now - hours(1), .entries = 120, .heads = 3};
};

TEST(ChecklistChecksTest, AllTickWhereAllIsWell) {
    World world;
    const std::map<ChecklistCheck, std::string> says{
        {ChecklistCheck::backups, "3 of 3 sources; the oldest backup is from 2026-11-20T02:14:07Z"},
        {ChecklistCheck::verification, "3 of 3 sources with backups"},
        {ChecklistCheck::retention, "last done by this server 2026-11-20T01:00:00Z"},
        {ChecklistCheck::restore, "last done by this server 2026-11-20T09:00:00Z"},
        {ChecklistCheck::audit, "120 entries fit 3 heads, looked at 2026-11-20T11:00:00Z"},
        {ChecklistCheck::log, "1 of 1 sources with a log"},
        {ChecklistCheck::window, "1 of 1 sources of which every second is promised"},
        {ChecklistCheck::sizes, "3 of 3 sources"},
        {ChecklistCheck::alerts, "0 of severity P1 or P2 open, 2 of others"},
        {ChecklistCheck::repository, "1 of 1 repositories"},
        {ChecklistCheck::space, "1 of 1 repositories on a disk"},
        {ChecklistCheck::certificate, "1 of 1 servers"},
        {ChecklistCheck::channels, "1 of 1 channels"}};
    for (const ChecklistCheck check : all_checklist_checks) {
        const CheckFinding finding = world.find(check);
        EXPECT_EQ(finding.verdict, Verdict::clear) << to_string(check);
        EXPECT_EQ(finding.text, says.at(check));
    }
}

TEST(ChecklistChecksTest, NothingTicksWhereNothingIsKnown) {
    World world;
    for (SourceFacts& each : world.facts.sources) each.known = false;
    world.facts.repositories[0].free_bytes.reset();
    world.facts.repositories[0].reachable = false;
    world.facts.servers[0].certificate_end.reset();
    world.facts.channels.clear();
    world.alerts = {{Severity::p1, 1}};
    world.successes.clear();
    world.trail.reset();
    for (const ChecklistCheck check : all_checklist_checks)
        EXPECT_NE(world.find(check).verdict, Verdict::clear) << to_string(check);
    world.facts.sources.clear();
    for (const ChecklistCheck check : all_checklist_checks)
        EXPECT_NE(world.find(check).verdict, Verdict::clear) << to_string(check);
}

struct Case {
    const char* name;
    ChecklistCheck check;
    Verdict verdict;
    void (*change)(World& world);
    const char* says = "";
};
class ChecklistTable : public testing::TestWithParam<Case> {};

TEST_P(ChecklistTable, IsAsItSays) {
    World world;
    GetParam().change(world);
    const CheckFinding finding = world.find(GetParam().check);
    EXPECT_EQ(finding.verdict, GetParam().verdict) << finding.text;
    EXPECT_THAT(finding.text, HasSubstr(GetParam().says));
}

using enum ChecklistCheck;
const std::vector<Case> cases{
    {"NoneOfToday", backups, Verdict::breach, [](World& w) { w.orders().backups.pop_back(); },
     "2 of 3 sources; orders: no good backup since 2026-11-20T00:00:00Z"},
    {"NoneOfTodayIsGood", backups, Verdict::breach, [](World& w) { w.orders().backups.back().good = false; },
     "2 of 3"},
    {"AGoodOneBeforeAnother", backups, Verdict::clear,
     [](World& w) { w.orders().backups.push_back(backup("2026-11-20T11:00:00Z", false)); }},
    {"OneOfTomorrow", backups, Verdict::breach,
     [](World& w) { w.orders().backups = {backup("2026-11-20T12:00:01Z")}; }},
    {"OlderAsThePolicyHasIt", backups, Verdict::clear,
     [](World& w) {
         w.orders().backups = {backup("2026-11-14T02:00:00Z")};
         w.orders().objectives.backup_age = Period{0, 8 * 86'400};
     },
     "from 2026-11-14T02:00:00Z"},
    // By the end of today it will be too old.
    {"TooOldForThePolicyToday", backups, Verdict::breach,
     [](World& w) {
         w.orders().backups.pop_back();
         w.orders().objectives.backup_age = Period{0, 26 * 3600};
     }},
    {"AShorterAgeChangesNothing", backups, Verdict::clear,
     [](World& w) { w.orders().objectives.backup_age = Period{0, 3600}; }},
    {"NotProtectedAnyMore", backups, Verdict::clear,
     [](World& w) {
         w.orders().backups.clear();
         w.orders().backups_expected = false;
     },
     "2 of 2"},
    {"ASourceIsNotKnown", backups, Verdict::unknown, [](World& w) { w.facts.sources[2].known = false; },
     "home: the repository could not be asked"},
    {"AFindingGoesBeforeWhatIsNotKnown", backups, Verdict::breach,
     [](World& w) {
         w.orders().known = false;
         w.facts.sources[1].backups.clear();
     },
     "1 of 3 sources; mails: no good backup"},

    {"VerifiedYesterday", verification, Verdict::breach,
     [](World& w) { w.orders().verification->time = now - hours(13); }, "orders: was last verified"},
    {"NeverVerified", verification, Verdict::breach, [](World& w) { w.orders().verification.reset(); }},
    {"Damaged", verification, Verdict::breach, [](World& w) { w.orders().verification->good = false; },
     "is damaged"},
    {"NothingToVerify", verification, Verdict::clear,
     [](World& w) {
         w.orders().backups.clear();
         w.orders().verification.reset();
     },
     "2 of 2"},

    {"RetentionYesterday", retention, Verdict::breach,
     [](World& w) { w.successes["retention"] = now - hours(13); }, "2026-11-19T23:00:00Z"},
    {"NoRetention", retention, Verdict::breach, [](World& w) { w.successes.clear(); }, "never"},

    {"TrailOfYesterday", audit, Verdict::unknown, [](World& w) { w.trail->at = now - hours(13); }},
    {"TrailDoesNotFit", audit, Verdict::breach, [](World& w) { w.trail->intact = false; }},
    {"TrailWithoutHeads", audit, Verdict::unknown, [](World& w) { w.trail->heads = 0; }},
    {"AnotherTrail", audit, Verdict::breach, [](World& w) { w.trail->other_trails = 1; }},

    {"Gap", log, Verdict::breach, [](World& w) { w.orders().gaps = {{now - hours(2), now - hours(1)}}; },
     "orders: nothing between"},
    {"Exposed", log, Verdict::breach, [](World& w) { w.orders().exposure_seconds = 5000; },
     "0 of 1 sources with a log; orders: "},
    {"ExposureNotKnown", log, Verdict::unknown, [](World& w) { w.orders().exposure_seconds.reset(); },
     "orders: the rule exposure has nothing to go by"},
    {"LogNotLookedAt", log, Verdict::unknown, [](World& w) { w.orders().window_end.reset(); }},
    {"RuleIsOff", log, Verdict::breach,
     [](World& w) {
         w.rules = RuleBook({{"exposure", parse_rule_settings("exposure", R"({"off": true})")}});
         w.orders().exposure_seconds = 5000;
     }},
    {"ThresholdIsThatOfTheRule", log, Verdict::clear,
     [](World& w) {
         w.rules = RuleBook({{"exposure", parse_rule_settings("exposure", R"({"exposure": "2h"})")}});
         w.orders().exposure_seconds = 5000;
     }},
    {"ReceiverSilent", log, Verdict::breach,
     [](World& w) { w.orders().receiver = ReceiverFacts{.last_seen = now - hours(1)}; }},
    {"NoLogs", log, Verdict::clear, [](World& w) { w.facts.sources.erase(w.facts.sources.begin()); },
     "0 of 0 sources with a log"},

    {"WindowTooShort", window, Verdict::breach, [](World& w) { w.orders().window_start = now - days(3); }},
    {"NothingPromised", window, Verdict::clear, [](World& w) { w.orders().objectives.window.reset(); }},

    {"OddSize", sizes, Verdict::breach, [](World& w) { w.orders().objectives.smallest_bytes = 10; }},
    {"AnAlert", alerts, Verdict::breach, [](World& w) { w.alerts = {{Severity::p2, 1}}; },
     "1 of severity P1 or P2 open"},
    {"OutOfReach", repository, Verdict::breach, [](World& w) { w.facts.repositories[0].reachable = false; }},
    {"Full", space, Verdict::breach, [](World& w) { w.facts.repositories[0].free_bytes = 90; }},
    // Neither an alert nor its end.
    {"NearlyFull", space, Verdict::breach, [](World& w) { w.facts.repositories[0].free_bytes = 110; }},
    {"Bucket", space, Verdict::unknown, [](World& w) { w.facts.repositories[0].free_bytes.reset(); }},
    {"CertificateEnds", certificate, Verdict::breach,
     [](World& w) { w.facts.servers[0].certificate_end = now + days(2); }},
    {"ChannelFails", channels, Verdict::breach, [](World& w) { w.facts.channels[0].failed_in_a_row = 1; }},
    {"NobodyIsTold", channels, Verdict::unknown, [](World& w) { w.facts.channels.clear(); }},
};
INSTANTIATE_TEST_SUITE_P(Cases, ChecklistTable, testing::ValuesIn(cases),
                         [](const auto& each) { return each.param.name; });

} // namespace
} // namespace holdfast
