// Whole files: the digests that snapshots hold, computed again from content.
//
// Frames and blobs were proven when packs were read. That does not tell whether a file still is made of what
// it was made of: whoever holds the keys of a run can seal other content at the same place. The digest of a
// file tells it, and so do the signatures of its pages.
//
// A file of one blob is not read again: its digest is the beginning of the blob's id. Of larger files each
// content is read once more, in the order of the file. A segment that several snapshots share is read once,
// and of one that has changed between them the pages that have.

#include "service/file_check.h"
#include "service/segment_check.h"
#include "service/segment_uses.h"
#include "service/verification.h"

namespace holdfast {

void Verification::check_files() {
    if (report_.content != ContentCheck::decrypted) {
        report_.files_closed = report_.content == ContentCheck::digests;
        return;
    }
    // Every thread has a check of its own.
    const auto check_all = [&](std::size_t count, const auto& make_check, const auto& check_one) {
        progress_.set_total(0, count);
        std::atomic<std::size_t> next{0};
        TaskGroup group(stop_);
        for (unsigned i = 0; i < std::max(settings_.workers, 1U); ++i) {
            group.start([&](std::stop_token stop) {
                auto check = make_check();
                for (std::size_t index = next++; index < count && !stop.stop_requested(); index = next++) {
                    check_one(check, index);
                    progress_.add_done(0, 1);
                }
            });
        }
        group.wait();
    };
    SegmentUses uses;
    next_phase("checking files");
    check_all(
        leaves_.size(), [&] { return FileCheck(*this, uses); },
        [&](FileCheck& check, std::size_t i) { check.check_leaf(leaves_[i]); });
    leaves_ = {};
    next_phase("checking pages of large files");
    const std::vector<std::span<const SegmentUse>> groups = uses.groups();
    check_all(
        groups.size(), [&] { return SegmentCheck(*this); },
        [&](SegmentCheck& check, std::size_t i) { check.check(groups[i]); });
}

} // namespace holdfast
