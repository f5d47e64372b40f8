#include "watch/rule.h"

namespace holdfast {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t hour = 3600;
constexpr std::int64_t day = 24 * hour;
constexpr std::int64_t longest = 366 * day;

// Two rounds a minute apart: one bad answer is no alert.
constexpr RuleTiming twice{.hold_for = minutes(1), .evaluations = 2, .clear_for = {}, .clear_evaluations = 2};
// What O10 of the requirements calls two periods of 300 s.
constexpr RuleTiming two_periods{
    .hold_for = minutes(10), .evaluations = 2, .clear_for = minutes(5), .clear_evaluations = 2};
// What is a fact once it was found.
constexpr RuleTiming at_once{};

constexpr Threshold seconds_of(std::string_view name, std::int64_t value, std::string_view meaning) {
    return {name, ThresholdUnit::seconds, value, 1, longest, meaning};
}
constexpr Threshold percent_of(std::string_view name, std::int64_t value, std::int64_t most,
                               std::string_view meaning) {
    return {name, ThresholdUnit::percent, value, 1, most, meaning};
}
constexpr Threshold count_of(std::string_view name, std::int64_t value, std::int64_t least, std::int64_t most,
                             std::string_view meaning) {
    return {name, ThresholdUnit::count, value, least, most, meaning};
}

std::vector<Rule> backup_rules() {
    return {
        {.name = "no_backup",
         .subject = RuleSubject::source,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {seconds_of("age", 26 * hour, "how long a new source may be without one")},
         .title = "No backup",
         .meaning = "There is no good backup of this source. If it is lost now, all of it is lost.",
         .action = "Make one now and see why the schedule did not.",
         .commands = {"holdfast policy", "holdfast backup {subject}",
                      "holdfast snapshots --source {subject}"}},
        {.name = "backup_old",
         .subject = RuleSubject::source,
         .severity = Severity::p2,
         .timing = at_once,
         .thresholds = {seconds_of("age", 26 * hour,
                                   "how old the newest good one may be, where the policy does not say")},
         .title = "Backup too old",
         .meaning = "The newest good backup is older than its objective: more would be lost, or replayed for "
                    "longer, than was promised.",
         .action =
             "Make one now; look at the last operations for what kept the scheduled ones from ending well.",
         .commands = {"holdfast snapshots --source {subject}", "holdfast backup {subject}"}},
        {.name = "backup_failed",
         .subject = RuleSubject::source,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {},
         .title = "Backup failed",
         .meaning = "The last backup of this source failed. The one before it still stands.",
         .action =
             "The error says what and where. Remove its cause and make a backup; the alert ends with the "
             "next that succeeds.",
         .commands = {"holdfast doctor {subject}", "holdfast backup {subject}"}},
        {.name = "backup_timed_out",
         .subject = RuleSubject::source,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {},
         .title = "Backup timed out",
         .meaning = "The last backup of this source did not end within its time limit and was stopped.",
         .action =
             "See whether the source or the store is slow or hangs, then make it again; raise time_limit "
             "of the policy only when the source has really grown.",
         .commands = {"holdfast doctor {subject}", "holdfast backup {subject}"}},
        {.name = "backup_incomplete",
         .subject = RuleSubject::source,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {},
         .title = "Backup incomplete",
         .meaning = "The last backup of this source left something out that it was to hold.",
         .action = "Its log names what could not be read: mostly permissions, or a file that changed all the "
                   "time. Put it right, or exclude it on purpose.",
         .commands = {"holdfast snapshots --source {subject}", "holdfast backup {subject}"}},
        {.name = "size_anomaly",
         .subject = RuleSubject::source,
         .severity = Severity::p2,
         .timing = at_once,
         .thresholds = {count_of("history", 7, 3, 30, "so many good ones before it must be there"),
                        percent_of("ratio", 200, 10'000,
                                   "a size between the median divided and multiplied by this is never far"),
                        count_of("deviations", 6, 1, 100, "how many deviations from the median are far")},
         .title = "Backup of an unusual size",
         .meaning =
             "The newest backup is smaller than its floor, or far from the ones before it. Data may be "
             "missing at the source, or be encrypted or filled by somebody.",
         .action = "Compare it with the one before. Hold the last one that is believed before retention can "
                   "take it.",
         .commands = {"holdfast snapshots --source {subject}", "holdfast stats",
                      "holdfast doctor {subject}"}},
        {.name = "duration_anomaly",
         .subject = RuleSubject::source,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {count_of("history", 7, 3, 30, "so many good ones before it must be there"),
                        percent_of("ratio", 300, 10'000,
                                   "a time between the median divided and multiplied by this is never far"),
                        count_of("deviations", 6, 1, 100, "how many deviations from the median are far"),
                        seconds_of("least", 10 * 60, "a smaller difference from the median is none")},
         .title = "Backup of an unusual duration",
         .meaning = "The newest backup took far longer, or was done far sooner, than the ones before it let "
                    "expect: the "
                    "source, the network or the store is not as it was.",
         .action = "Look at its size and at what else ran then; see whether the next one still ends in time.",
         .commands = {"holdfast snapshots --source {subject}", "holdfast doctor {subject}"}},
        {.name = "verification_failing",
         .subject = RuleSubject::source,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {},
         .title = "Verification cannot be done",
         .meaning = "The last verification of this source ended with an error before it could tell anything. "
                    "Whether "
                    "its backups restore is not known.",
         .action = "The error says what and where. Remove its cause and verify again.",
         .commands = {"holdfast verify --source {subject} --record"}},
        {.name = "verification_failed",
         .subject = RuleSubject::source,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {},
         .title = "Verification failed",
         .meaning =
             "Reading back found something missing or damaged. Backups of this source may not restore.",
         .action =
             "See what is damaged and which snapshots need it. Restore what it names from a copy of the "
             "repository: a backup goes on referring to a damaged pack as long as it is there. Without "
             "a copy, take the pack out of the store; the next backup stores anew what the source "
             "still has (of files with --read-everything). Then verify again, with --record.",
         .commands = {"holdfast verify --source {subject} --read-data --record"}},
        {.name = "retention_blocked",
         .subject = RuleSubject::source,
         .severity = Severity::p3,
         .timing = {.hold_for = hours(1), .evaluations = 2, .clear_for = {}, .clear_evaluations = 1},
         .thresholds = {},
         .title = "Retention blocked",
         .meaning = "Nothing of this source is forgotten, because what the rules need to know is missing or "
                    "not believed. Nothing is lost, but space is not freed.",
         .action = "The reason is named in the alert; simulate shows what would go.",
         .commands = {"holdfast retention simulate {subject}", "holdfast doctor {subject}"}},
    };
}

std::vector<Rule> log_rules() {
    return {
        {.name = "exposure",
         .subject = RuleSubject::source,
         .severity = Severity::p2,
         .timing = two_periods,
         .thresholds = {seconds_of("exposure", 15 * 60,
                                   "of sources with a log, where the policy has no rpo")},
         .title = "Exposure over objective",
         .meaning =
             "If the source were lost now, more would be lost than its recovery point objective allows.",
         .action = "See whether log arrives (receiver, archive) and whether the repository takes it.",
         .commands = {"holdfast window {subject}", "holdfast doctor {subject}"}},
        {.name = "log_gap",
         .subject = RuleSubject::source,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {seconds_of("look_back", 7 * day, "gaps that ended longer ago are not told any more")},
         .title = "Gap in the log",
         .meaning = "A piece of the log is missing: no moment between the gap and the next backup can be "
                    "restored.",
         .action = "If the server still has the log, archive it; else make a backup now, which ends the gap.",
         .commands = {"holdfast window {subject}", "holdfast wal verify {subject}",
                      "holdfast backup {subject}"}},
        {.name = "receiver_down",
         .subject = RuleSubject::source,
         .severity = Severity::p2,
         .timing =
             {.hold_for = minutes(2), .evaluations = 2, .clear_for = minutes(1), .clear_evaluations = 2},
         .thresholds = {seconds_of("silence", 5 * 60, "how long it may not have been seen")},
         .title = "Receiver down",
         .meaning = "The receiver of this source's log has not been seen. Log piles up at the server, or is "
                    "lost when the server recycles it.",
         .action = "Start it again; watch the server's disk, since a replication slot keeps log for it.",
         .commands = {"systemctl status 'holdfast-*'", "holdfast window {subject}"}},
        {.name = "window_short",
         .subject = RuleSubject::source,
         .severity = Severity::p2,
         .timing = twice,
         .thresholds = {},
         .title = "Recovery window too short",
         .meaning = "Not every second that the policy promises can be restored.",
         .action = "See where the window begins, and whether retention or a gap has taken what was before.",
         .commands = {"holdfast window {subject}", "holdfast retention simulate {subject}"}},
    };
}

std::vector<Rule> storage_rules() {
    return {
        {.name = "repository_unreachable",
         .subject = RuleSubject::repository,
         .severity = Severity::p1,
         .timing = {.hold_for = minutes(5), .evaluations = 2, .clear_for = {}, .clear_evaluations = 2},
         .thresholds = {},
         .title = "Repository out of reach",
         .meaning = "The repository cannot be read. Nothing is backed up, and nothing could be restored.",
         .action = "See whether its disk is mounted, its host answers and its credentials are still good.",
         .commands = {"holdfast snapshots"}},
        {.name = "retention_failing",
         .subject = RuleSubject::repository,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {},
         .title = "Retention fails",
         .meaning =
             "The rules of retention could not be applied. Nothing is lost, but snapshots stay beyond their "
             "time, and space is not freed.",
         .action = "The error says why. Remove its cause and apply them again.",
         .commands = {"holdfast retention simulate", "holdfast retention enforce"}},
        {.name = "prune_failing",
         .subject = RuleSubject::repository,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {},
         .title = "Freeing space fails",
         .meaning =
             "What no snapshot needs could not be deleted. Nothing is lost, but the repository only grows.",
         .action =
             "The error says why; may the key delete, is another collection under way? Then prune again.",
         .commands = {"holdfast prune --dry-run", "holdfast prune"}},
        {.name = "storage_low",
         .subject = RuleSubject::repository,
         .severity = Severity::p1,
         .timing = twice,
         .thresholds = {percent_of("free", 10, 99, "of the disk must be free"),
                        percent_of("clear", 12, 99, "of the disk must be free before the alert ends")},
         .title = "Storage low",
         .meaning =
             "The disk of the repository is nearly full. Backups stop before it is full, and log piles "
             "up at the servers.",
         .action = "Make room: a larger disk, or less kept; space is freed by prune, after retention. Never "
                   "delete files of a repository by hand.",
         .commands = {"holdfast stats", "holdfast retention simulate", "holdfast prune"}},
        {.name = "storage_growing",
         .subject = RuleSubject::repository,
         .severity = Severity::p3,
         .timing = twice,
         .thresholds = {seconds_of("over", 7 * day, "the time that growth is looked at"),
                        percent_of("growth", 50, 100'000, "more than this within that time is an alert"),
                        {"least_bytes", ThresholdUnit::bytes, std::int64_t{1} << 30, 1, std::int64_t{1} << 60,
                         "smaller growth is none"},
                        seconds_of("full_within", 14 * day,
                                   "a disk that is full within this time at that rate is one")},
         .title = "Storage growing",
         .meaning = "The repository grows faster than expected; with the rate of the last days its disk will "
                    "be full soon.",
         .action = "See which source grew and whether that is meant; plan for room.",
         .commands = {"holdfast stats", "holdfast snapshots"}},
    };
}

std::vector<Rule> server_rules() {
    return {
        {.name = "clock_off",
         .subject = RuleSubject::server,
         .severity = Severity::p2,
         .timing = twice,
         .thresholds = {seconds_of("offset", 60, "how far the clocks may lie apart"),
                        seconds_of("clear", 30, "below which the alert ends")},
         .title = "Clock off",
         .meaning =
             "The clock of the server and that of its store or database disagree, or it leapt forward. "
             "Times of backups are wrong, and retention refuses to delete.",
         .action =
             "See which one is wrong and set it by NTP. When a clock that leapt is right as it is now, say "
             "so, once: that also applies the rules of retention.",
         .commands = {"timedatectl", "chronyc tracking", "holdfast retention enforce --trust-clock"}},
        {.name = "certificate_expiring",
         .subject = RuleSubject::server,
         .severity = Severity::p3,
         .timing = at_once,
         .thresholds = {seconds_of("left", 21 * day, "with less it is an alert"),
                        seconds_of("urgent", 3 * day, "with less it is one of severity P1")},
         .title = "Certificate near its end",
         .meaning = "The certificate of the server ends soon; then no client trusts it any more.",
         .action = "Renew it, put it where the configuration names it, and reload the server.",
         .commands = {"systemctl reload holdfast"}},
        {.name = "monitor_failing",
         .subject = RuleSubject::server,
         .severity = Severity::p1,
         .timing = at_once,
         .thresholds = {},
         .title = "Monitoring itself fails",
         .meaning = "The monitor of this server fails, hangs, or has not run: nothing else would be noticed.",
         .action = "Look at the server's log; is its catalog reachable, is a repository hanging?",
         .commands = {"systemctl status holdfast", "journalctl --unit holdfast --since -1h"}},
        {.name = "channel_failing",
         .subject = RuleSubject::channel,
         .severity = Severity::p2,
         .timing = at_once,
         .thresholds = {count_of("failures", 3, 1, 1000, "so many attempts in a row that failed")},
         .title = "Channel failing",
         .meaning = "Notices do not get through on this channel.",
         .action = "The last error says why. Put it right and send a test.",
         .commands = {"journalctl --unit holdfast --since -1h"}},
        {.name = "checklist_missed",
         .subject = RuleSubject::checklist,
         .severity = Severity::p4,
         // What ticks itself has had its time.
         .timing = {.hold_for = hours(1), .evaluations = 2, .clear_for = {}, .clear_evaluations = 1},
         .thresholds = {},
         .title = "Checklist not kept",
         .meaning = "Something that is to be seen to again and again was not in the last period, and still "
                    "is not.",
         .action = "See to it and tick it, or find out why it does not tick itself.",
         .commands = {"holdfast checklist list", "holdfast checklist tick {subject} ITEM"}},
    };
}

} // namespace

const std::vector<Rule>& all_rules() {
    static const std::vector<Rule> rules = [] {
        std::vector<Rule> all;
        for (auto part : {backup_rules(), log_rules(), storage_rules(), server_rules()})
            for (Rule& rule : part) all.push_back(std::move(rule));
        return all;
    }();
    return rules;
}

} // namespace holdfast
