#include "base/file_descriptor.h"
#include "service/alert_log_causes.h"
#include "service/alert_stage.h"
#include "service/annotate.h"
#include "service/space_watch.h"
#include "watch/checklist_states.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

void nothing(AlertStage&) {}

// Takes the right to read files in spite of their modes from this thread, and those that it starts.
void give_up_override() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (::syscall(SYS_capget, &header, data) != 0) throw system_error(errno, "capget");
    data[0].effective &= ~((1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH));
    if (::syscall(SYS_capset, &header, data) != 0) throw system_error(errno, "capset");
}

void leave_something_out(AlertStage& stage) {
    stage.write_file("closed", 1000);
    ::chmod((stage.tree() + "/closed").c_str(), 0);
    std::exception_ptr problem;
    std::thread([&] {
        try {
            give_up_override();
            stage.back_up();
        } catch (...) {
            problem = std::current_exception();
        }
    }).join();
    if (problem) std::rethrow_exception(problem);
}

void take_repository_away(AlertStage& stage) {
    std::filesystem::rename(stage.repository_directory(), stage.repository_directory() + ".away");
}

void fail_backup(AlertStage& stage) {
    stage.write_file("second", 1000);
    take_repository_away(stage);
    stage.back_up();
}

void exceed_limit(AlertStage& stage) {
    stage.slow_down(64 << 10);
    stage.write_file("large", 40 << 20);
    stage.back_up(seconds(2));
}

void make_history(AlertStage& stage) {
    const std::int64_t count = std::max(stage.rules().threshold(*find_rule("size_anomaly"), "history"),
                                        stage.rules().threshold(*find_rule("duration_anomaly"), "history")) +
                               1;
    for (std::int64_t i = 0; i < count; ++i) {
        stage.clock.advance(hours(1));
        stage.write_file("first", 200'000 + 1000 * static_cast<std::size_t>(i));
        stage.back_up();
    }
}

void lose_the_data(AlertStage& stage) {
    stage.clock.advance(hours(1));
    stage.write_file("first", 10);
    stage.back_up();
}

void take_long(AlertStage& stage) {
    stage.clock.advance(hours(1));
    const std::int64_t least = stage.rules().threshold(*find_rule("duration_anomaly"), "least");
    stage.delay_next_write(seconds(least * 3));
    stage.write_file("first", 210'000);
    stage.back_up();
}

void work_well(AlertStage& stage) {
    stage.back_up();
    stage.apply_retention();
    stage.prune();
    stage.verify_as_planned();
}

void verify_well(AlertStage& stage) {
    stage.back_up();
    stage.verify();
}

// Flips a bit in the middle of the largest file below `directory`.
void damage_largest(const std::string& directory) {
    std::filesystem::path largest;
    std::uintmax_t size = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file() || entry.file_size() <= size) continue;
        largest = entry.path();
        size = entry.file_size();
    }
    if (size == 0) throw Error(ErrorCode::internal, "the sandbox has nothing to damage below " + directory);
    ::chmod(largest.c_str(), 0600);
    const FileDescriptor file = open_file(largest, O_RDWR);
    Bytes byte(1);
    read_at(file.get(), size / 2, byte, largest);
    byte[0] ^= 1;
    write_at(file.get(), size / 2, byte, largest);
}

void damage_and_verify(AlertStage& stage) {
    damage_largest(stage.repository_directory() + "/packs");
    stage.verify();
}

void enforce_well(AlertStage& stage) {
    stage.back_up();
    set_tags(stage.repository(), list_annotated(stage.repository()).snapshots.front().snapshot,
             {{"purpose", "test"}}, {});
    stage.enforce_retention_here();
}

void damage_statement(AlertStage& stage) {
    damage_largest(stage.repository_directory() + "/statements");
    stage.enforce_retention_here();
}

void look_at_disk(AlertStage& stage) {
    stage.back_up();
    stage.add_facts = [url = stage.repository().store().url()](Facts& facts) {
        const auto space = space_of_repository(url);
        if (!space) return;
        facts.repositories.front().free_bytes = space->free_bytes;
        facts.repositories.front().capacity_bytes = space->capacity_bytes;
    };
}

void fill_disk(AlertStage& stage) {
    const std::string file = stage.repository_directory() + ".filling";
    const FileDescriptor out = open_file(file, O_WRONLY | O_CREAT, 0600);
    const Bytes piece(64 << 10);
    for (off_t at = 0;; at += static_cast<off_t>(piece.size())) {
        const ssize_t written = ::pwrite(out.get(), piece.data(), piece.size(), at);
        if (written == static_cast<ssize_t>(piece.size())) continue;
        if (written >= 0 || errno == ENOSPC) return;
        throw system_error(errno, file);
    }
}

void grow(AlertStage& stage) {
    const auto over = seconds(stage.rules().threshold(*find_rule("storage_growing"), "over"));
    stage.clock.advance(over * 9 / 10);
    stage.write_file("much", 8 << 20);
    stage.back_up();
}

// What comes of comparing a clock that is wrong by `error` with that of the store.
void compare_clocks(AlertStage& stage, Duration error) {
    stage.add_facts = [&stage, error](Facts& facts) {
        facts.servers.front().store_clock_offset_seconds = stage.clock_offset(error);
    };
}

void set_clock_right(AlertStage& stage) {
    stage.back_up();
    compare_clocks(stage, {});
}

void set_clock_wrong(AlertStage& stage) {
    const std::int64_t most = stage.rules().threshold(*find_rule("clock_off"), "offset");
    compare_clocks(stage, seconds(most * 2));
}

template <auto Free>
struct Freed {
    template <typename Value>
    void operator()(Value* value) const {
        Free(value);
    }
};

// Makes a certificate that ends so much later, signed by itself, and reads back when it ends.
Timestamp certificate_until(Timestamp now, Duration left) {
    const std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>> key(EVP_EC_gen("P-256"));
    const std::unique_ptr<X509, Freed<X509_free>> certificate(X509_new());
    const auto at = [](Timestamp time) {
        return static_cast<time_t>(std::chrono::floor<seconds>(time).time_since_epoch().count());
    };
    const bool made = key && certificate &&
                      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), at(now)) != nullptr &&
                      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), at(now + left)) != nullptr &&
                      X509_set_pubkey(certificate.get(), key.get()) == 1 &&
                      X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0;
    std::tm end{};
    if (!made || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1)
        throw Error(ErrorCode::internal, "OpenSSL made no certificate");
    return Timestamp(seconds(::timegm(&end)));
}

void show_certificate(AlertStage& stage, Duration left) {
    const Timestamp end = certificate_until(stage.clock.now(), left);
    stage.add_facts = [end](Facts& facts) { facts.servers.front().certificate_end = end; };
}

void make_certificate(AlertStage& stage) {
    stage.back_up();
    show_certificate(stage, hours(24 * 400));
}

void age_certificate(AlertStage& stage) {
    const std::int64_t left = stage.rules().threshold(*find_rule("certificate_expiring"), "left");
    show_certificate(stage, seconds(left / 2));
}

void stop_rounds(AlertStage& stage) {
    stage.rounds_stopped = true;
    stage.clock.advance(minutes(10));
}

void break_channel(AlertStage& stage) {
    fail_backup(stage);
    const std::int64_t failures = stage.rules().threshold(*find_rule("channel_failing"), "failures");
    for (std::int64_t i = 0; i < failures; ++i) {
        stage.round();
        stage.watch().deliver(stage.stop());
        stage.clock.advance(minutes(30));
    }
}

// A list of the sandbox's own, of which all was seen to in its first day, and nothing is from then on.
void tick_list(AlertStage& stage) {
    stage.back_up();
    const Checklist list{.name = AlertStage::source,
                         .items = {{.name = "look", .text = "Somebody has looked"}}};
    const Timestamp begun = stage.clock.now();
    const ChecklistRecord record{.ticks = {{.list = list.name, .item = "look", .at = begun}},
                                 .known_since = {{"look", begun}}};
    stage.add_facts = [&stage, list, record](Facts& facts) {
        facts.checklists = {checklist_facts(list, record, stage.clock.now())};
    };
}

void let_days_pass(AlertStage& stage) { stage.clock.advance(hours(48)); }

void wait_for_age(AlertStage& stage) {
    const std::int64_t age = std::max(stage.rules().threshold(*find_rule("backup_old"), "age"),
                                      stage.rules().threshold(*find_rule("no_backup"), "age"));
    stage.clock.advance(seconds(age) + minutes(1));
}

} // namespace

const std::vector<AlertCause>& alert_causes() {
    static const std::vector<AlertCause> causes{
        {"no_backup", "a source of which no backup is made, and a clock that goes on", nothing, wait_for_age},
        {"backup_old", "a backup, and a clock that goes on", nullptr, wait_for_age},
        {"backup_failed", "a backup to a repository that is taken away", nullptr, fail_backup},
        {"backup_timed_out", "a backup over a slow line, with a time limit", nullptr, exceed_limit},
        {"backup_incomplete", "a backup of a file that may not be read", nullptr, leave_something_out},
        {"size_anomaly", "backups of a source, most of which is then deleted", make_history, lose_the_data},
        {"duration_anomaly", "backups, of which the store takes long for the last", make_history, take_long},
        {"verification_failing", "a verification of a repository that is taken away", work_well,
         [](AlertStage& stage) {
             take_repository_away(stage);
             stage.verify_as_planned();
         }},
        {"verification_failed", "a bit that is flipped in what is stored, and a verification", verify_well,
         damage_and_verify},
        {"retention_blocked", "a bit that is flipped in a statement, and retention", enforce_well,
         damage_statement},
        {"exposure", "a PostgreSQL that commits while the repository takes nothing", promise_an_hour,
         commit_in_vain},
        {"log_gap", "a PostgreSQL, a segment of whose log is lost before it is archived", protect_cluster,
         lose_a_segment},
        {"receiver_down", "a receiver of a PostgreSQL's log that is stopped, and a clock that goes on",
         start_receiver, stop_receiver},
        {"window_short", "a PostgreSQL, whose older backup is forgotten once there is a newer one",
         protect_cluster_for_long, forget_the_oldest},
        {"repository_unreachable", "a repository that is taken away", nullptr, take_repository_away},
        {"retention_failing", "a repository that is taken away before rules are applied", work_well,
         [](AlertStage& stage) {
             take_repository_away(stage);
             stage.apply_retention();
         }},
        {"prune_failing", "a repository that is taken away before space is freed", work_well,
         [](AlertStage& stage) {
             take_repository_away(stage);
             stage.prune();
         }},
        {"storage_low", "a repository on a small disk that is filled", look_at_disk, fill_disk},
        {"storage_growing", "backups of much that is new, days later", nullptr, grow},
        {"clock_off", "a machine whose clock goes ahead of that of the store", set_clock_right,
         set_clock_wrong},
        {"certificate_expiring", "a certificate that ends soon", make_certificate, age_certificate},
        {"monitor_failing", "a monitor whose rounds stop", nullptr, stop_rounds},
        {"channel_failing", "a channel to a port where nothing listens", nullptr, break_channel},
        {"checklist_missed", "a checklist that is ticked once, and a clock that goes on", tick_list,
         let_days_pass},
    };
    return causes;
}

} // namespace holdfast
