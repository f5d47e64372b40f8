#include "service/verify.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/protocol/statement.h"
#include "service/verification.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

std::string_view to_string(ContentCheck check) {
    switch (check) {
    case ContentCheck::none:
        return "none";
    case ContentCheck::digests:
        return "digests";
    case ContentCheck::decrypted:
        return "decrypted";
    }
    return "none";
}

NodePlace place_of(const NodeRef& reference) {
    ByteWriter out;
    out.fixed_bytes(reference.id);
    out.fixed_bytes(reference.location.frame.pack.to_bytes());
    out.u32(reference.location.frame.frame);
    out.u32(reference.location.offset);
    out.u32(reference.location.length);
    return derive_hash<16>("holdfast place of a node", out.bytes());
}

void for_each_parallel(std::size_t count, unsigned threads, std::stop_token stop,
                       const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next{0};
    TaskGroup group(stop);
    for (std::size_t i = 0; i < std::min<std::size_t>(std::max(threads, 1U), count); ++i) {
        group.start([&](std::stop_token stopped) {
            for (;;) {
                const std::size_t index = next++;
                if (index >= count || stopped.stop_requested()) return;
                work(index);
            }
        });
    }
    group.wait();
}

Verification::Verification(Repository& repository, const VerifySettings& settings, Progress& progress,
                           std::stop_token stop)
    : repository_(repository),
      settings_(settings),
      progress_(progress),
      stop_(std::move(stop)),
      pack_reader_(repository.store(), repository.keys()),
      node_reader_(pack_reader_) {}

void Verification::next_phase(std::string_view phase) {
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
    progress_.set_phase(phase);
    progress_.set_total(0, 0);
    progress_.set_done(0, 0);
}

// Snapshots are listed before packs: what they refer to was put before them, so that every pack that is
// needed is in the listing, whatever other programs are writing meanwhile.
VerifyReport Verification::run() {
    check_trust();
    choose_snapshots();
    list_objects();
    check_objects();
    find_missing_objects();
    find_holders();
    walk_trees();
    choose_packs_to_read();
    check_packs();
    read_packs();
    find_missing();
    if (settings_.compare_files) check_files();
    check_index();
    check_logs();
    find_affected();

    report_.nodes = nodes_;
    report_.objects = objects_;
    report_.frames = frames_;
    report_.packs_read = packs_read_;
    report_.bytes_read = bytes_read_;
    report_.frames_opened = frames_opened_;
    report_.raw_bytes = raw_bytes_;
    report_.blobs_identified = blobs_;
    report_.files_checked = files_;
    if (settings_.snapshots.empty() && list_.unreadable == 0) {
        report_.orphan_packs = orphan_packs_;
        report_.orphan_bytes = orphan_bytes_;
    }
    report_.damaged_objects = findings_.damages.objects();
    report_.damages = findings_.damages.take();
    report_.unchecked = findings_.unchecked.take();
    report_.closed = findings_.closed.take();
    // One that reads nothing of others is told which key does; another lacks an epoch, and was told so.
    if (report_.closed.objects > 0 && !repository_.keys().reads_structure())
        report_.closed.hint = "verify with a key of role full or read";
    return std::move(report_);
}

VerifyReport verify_repository(Repository& repository, const VerifySettings& settings, Progress& progress,
                               std::stop_token stop) {
    if (!(settings.sample_part > 0 && settings.sample_part <= 1)) {
        throw Error(ErrorCode::usage, "the part of the packs to read is not above 0 and at most 1",
                    "give a part such as 0.1, or 10%");
    }
    return Verification(repository, settings, progress, std::move(stop)).run();
}

void record_verification(Repository& repository, const VerifySettings& settings, const VerifyReport& report) {
    if (!repository.trust().may_write(repository.keys().slot(), ObjectKind::statement, RunId{})) {
        throw Error(ErrorCode::access_denied, "this key slot may not say that snapshots were verified",
                    "verify with a key slot of role full, read or prune");
    }
    std::string what = "structure";
    if (report.content == ContentCheck::decrypted) what = "content";
    if (report.content == ContentCheck::digests) what = "digests";
    if (report.content != ContentCheck::none && settings.sample_part < 1) {
        what += fmt::format(" of {:.0f}% of the packs", settings.sample_part * 100);
    }
    for (const RunId& snapshot : report.snapshots) {
        const bool affected =
            std::ranges::find(report.affected_snapshots, snapshot) != report.affected_snapshots.end();
        Statement statement;
        statement.snapshot = snapshot;
        statement.type = StatementType::verification;
        statement.time = repository.clock().now();
        statement.name = what;
        statement.value = affected ? "damaged" : "intact";
        put_statement(repository.context(), statement);
    }
}

} // namespace holdfast
