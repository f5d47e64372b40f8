#include "postgres/recovery/log_branches.h"

#include "postgres/recovery/rivals.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using Choice = std::vector<std::size_t>; // of the versions of a stretch

bool share_a_run(const LogVersion& a, const LogVersion& b) {
    return std::ranges::any_of(a.slices, [&](const LogSliceId& of_a) {
        return std::ranges::any_of(b.slices, [&](const LogSliceId& of_b) { return of_a.run == of_b.run; });
    });
}

// The steps of a chain on one timeline, one behind the other.
struct Section {
    TimelineId timeline = 0;
    Lsn from;
    Lsn until;
    TimelineId next = 0; // the timeline on which the chain goes on; 0: it ends
};

std::vector<Section> sections_of(std::span<const PathStep> steps) {
    std::vector<Section> sections;
    for (const PathStep& step : steps) {
        const TimelineId timeline = step.slice.range.branch;
        if (sections.empty() || sections.back().timeline != timeline) {
            if (!sections.empty()) sections.back().next = timeline;
            sections.push_back({timeline, Lsn{step.begin}, Lsn{step.end}, 0});
        }
        sections.back().until = Lsn{step.end};
    }
    return sections;
}

// The log of one timeline, stretch after stretch: which contents of each a recovery may go through.
class Way {
  public:
    Way(const RecoverySource& source, const Snapshot& snapshot, const Section& section,
        std::span<const std::string> chosen)
        : source_(source),
          snapshot_(snapshot),
          section_(section),
          chosen_(chosen),
          groups_(overlapping_slices(source.slices, section.timeline, section.from, section.until)) {}

    void find(BranchVerdict& verdict) {
        if (groups_.empty()) return;
        go_forward();
        verdict.off_choice = off_choice_;
        if (off_choice_) return;
        go_back();
        verdict.aside.insert(verdict.aside.end(), dropped_.begin(), dropped_.end());
        tell(verdict);
    }

  private:
    // --- The contents of a stretch -------------------------------------------------------------------------

    void look_at_next() {
        const std::size_t k = stretches_.size();
        stretches_.push_back(look_at_stretch(source_, groups_[k]));
        LogStretch& stretch = stretches_.back();
        differs_.push_back(stretch.begin);
        // Where branches begin, and where the snapshot's own records tell.
        const bool begins = k == 0 || !stretches_[k - 1].has_rivals();
        if (stretch.has_rivals() && (begins || is_end_of_snapshot(stretch))) read_contents(stretch);
    }

    void read_contents(LogStretch& stretch) {
        const std::vector<LogSliceId> none = drop_what_is_none(source_, stretch);
        dropped_.insert(dropped_.end(), none.begin(), none.end());
        if (stretch.has_rivals()) differs_.back() = first_difference_in(stretch);
    }
    static Lsn first_difference_in(const LogStretch& stretch) {
        Lsn at = stretch.end;
        for (auto a = stretch.versions.begin(); a != stretch.versions.end(); ++a)
            for (auto b = a + 1; b != stretch.versions.end(); ++b)
                at = std::min(at, first_difference(*a->content, *b->content));
        return at;
    }

    // --- Which contents lead from one to the next ----------------------------------------------------------

    void go_forward() {
        stretches_.reserve(groups_.size());
        valid_.resize(groups_.size());
        follows_.resize(groups_.size());
        look_at_next();
        for (std::size_t i = 0; i < stretches_.front().versions.size(); ++i) {
            const LogVersion& version = stretches_.front().versions[i];
            if (version.begin <= section_.from && version.end > section_.from) valid_.front().push_back(i);
        }
        pin(0);
        for (std::size_t k = 1; k < groups_.size() && !off_choice_; ++k) {
            look_at_next();
            follows_[k].resize(stretches_[k - 1].versions.size());
            for (const std::size_t i : valid_[k - 1]) {
                follows_[k][i] = followers(k, i);
                for (const std::size_t j : follows_[k][i])
                    if (std::ranges::find(valid_[k], j) == valid_[k].end()) valid_[k].push_back(j);
            }
            if (valid_[k].empty()) return;
            std::ranges::sort(valid_[k]);
            pin(k);
            reached_ = k;
            for (LogVersion& version : stretches_[k - 1].versions) version.content.reset();
        }
    }

    Choice followers(std::size_t k, std::size_t i) {
        LogVersion& before = stretches_[k - 1].versions[i];
        std::vector<LogVersion>& versions = stretches_[k].versions;
        const auto those = [&](auto&& fits) {
            Choice found;
            for (std::size_t j = 0; j < versions.size(); ++j)
                if (before.end == versions[j].begin && fits(versions[j])) found.push_back(j);
            return found;
        };
        Choice found = those([&](const LogVersion& next) { return may_follow(before, next); });
        // A wrong refusal would lose what is there: the bytes have the last word.
        if (found.empty())
            return those([&](LogVersion& next) { return follows_by_content(source_, before, next); });
        if (!stretches_[k - 1].has_rivals()) return found;
        Choice of_one_run, own;
        std::ranges::copy_if(found, std::back_inserter(of_one_run),
                             [&](std::size_t j) { return share_a_run(before, versions[j]); });
        if (!of_one_run.empty()) return of_one_run;
        std::ranges::copy_if(found, std::back_inserter(own),
                             [&](std::size_t j) { return follows_on_this_alone(k, i, j); });
        return own;
    }

    // Copies that write records of the same lengths have the same claims: then the record that lies on both
    // sides tells, which has the right checksum on one of them; and where none does, nobody can tell but who
    // chooses.
    bool follows_on_this_alone(std::size_t k, std::size_t i, std::size_t j) {
        std::vector<LogVersion>& rivals = stretches_[k - 1].versions;
        LogVersion& next = stretches_[k].versions[j];
        std::vector<std::size_t> others;
        for (std::size_t other = 0; other < rivals.size(); ++other)
            if (other != i && may_follow(rivals[other], next)) others.push_back(other);
        if (others.empty()) return true;
        if (std::ranges::any_of(others, [&](std::size_t other) { return share_a_run(rivals[other], next); }))
            return false;
        if (!follows_by_content(source_, rivals[i], next)) return false;
        if (std::ranges::none_of(
                others, [&](std::size_t other) { return follows_by_content(source_, rivals[other], next); }))
            return true;
        if (std::ranges::any_of(next.slices, [&](const LogSliceId& slice) {
                return std::ranges::find(chosen_, branch_name(slice)) != chosen_.end();
            }))
            return true;
        undecided_ = k;
        return false;
    }

    // --- What must be on the way ---------------------------------------------------------------------------

    bool is_end_of_snapshot(const LogStretch& stretch) const {
        const LogRange& own = snapshot_.log->range;
        return own.branch == section_.timeline && stretch.begin.value < own.end &&
               own.end <= stretch.end.value;
    }

    void pin(std::size_t k) {
        Choice& valid = valid_[k];
        if (is_end_of_snapshot(stretches_[k])) {
            pinned_ = k;
            if (stretches_[k].has_rivals()) keep_with_end(k);
        }
        if (section_.next != 0 && k + 1 == groups_.size()) {
            pinned_ = k;
            if (valid.size() > 1) keep_if_any(k, [&](LogVersion& version) { return is_in_next(version); });
        }
        if (!stretches_[k].has_rivals()) return;
        for (const std::string& name : chosen_) {
            const auto is_chosen = [&](const LogVersion& version) {
                return std::ranges::any_of(version.slices, [&](const LogSliceId& slice) {
                    return branch_name(slice) == name && is_only_in(stretches_[k], version, slice);
                });
            };
            if (!std::ranges::any_of(stretches_[k].versions, is_chosen)) continue;
            std::erase_if(valid, [&](std::size_t i) { return !is_chosen(stretches_[k].versions[i]); });
            pinned_ = k;
            if (valid.empty()) off_choice_ = true;
        }
    }
    // A slice of what both have says nothing.
    static bool is_only_in(const LogStretch& stretch, const LogVersion& version, const LogSliceId& slice) {
        return std::ranges::none_of(stretch.versions, [&](const LogVersion& other) {
            return &other != &version && std::ranges::find(other.slices, slice) != other.slices.end();
        });
    }
    void keep_with_end(std::size_t k) {
        Choice with;
        for (std::size_t i = 0; i < stretches_[k].versions.size(); ++i)
            if (has_end(stretches_[k].versions[i])) with.push_back(i);
        if (with.empty()) return; // a backup of a standby has none
        std::erase_if(valid_[k], [&](std::size_t i) { return std::ranges::find(with, i) == with.end(); });
        if (valid_[k].empty()) off_choice_ = !chosen_.empty();
    }
    template <typename Fits>
    void keep_if_any(std::size_t k, Fits fits) {
        Choice kept;
        std::ranges::copy_if(valid_[k], std::back_inserter(kept),
                             [&](std::size_t i) { return fits(stretches_[k].versions[i]); });
        if (!kept.empty()) valid_[k] = std::move(kept);
    }
    // The first segment of a timeline begins with the bytes of the one before it.
    bool is_in_next(LogVersion& version) const {
        for (const LogSliceId& slice : source_.slices) {
            if (slice.range.branch != section_.next || slice.range.begin >= section_.until.value ||
                slice.range.end < section_.until.value)
                continue;
            const Lsn from{std::max(slice.range.begin, version.begin.value)};
            const VersionContent& content = content_of(source_, version);
            if (content.end() < section_.until) return false;
            const Bytes there = source_.part(slice, from, section_.until);
            return std::ranges::equal(there,
                                      ByteView(content.bytes).subspan(from - content.begin, there.size()));
        }
        return false;
    }
    bool has_end(LogVersion& version) {
        const LogRange& own = snapshot_.log->range;
        return std::ranges::any_of(content_of(source_, version).backups, [&](const WalRange& backup) {
            return backup.begin.value == own.begin && backup.end.value <= own.end;
        });
    }

    // What does not lead to where the way must go is none.
    void go_back() {
        for (std::size_t k = std::min(pinned_.value_or(0), reached_); k > 0; --k) {
            std::erase_if(valid_[k - 1], [&](std::size_t i) {
                return std::ranges::none_of(follows_[k][i], [&](std::size_t j) {
                    return std::ranges::find(valid_[k], j) != valid_[k].end();
                });
            });
        }
    }

    // --- Telling -------------------------------------------------------------------------------------------

    void tell(BranchVerdict& verdict) {
        for (std::size_t k = 0; k <= reached_; ++k) {
            if (valid_[k].empty()) return; // the snapshot's own log is not there
            if (valid_[k].size() > 1) return stop_at_fork(k, verdict);
            if (stretches_[k].has_rivals()) pass(k, verdict);
        }
        if (reached_ + 1 == groups_.size()) return;
        if (undecided_ == reached_ + 1) {
            verdict.stop =
                LogStop{stretches_[reached_].versions[valid_[reached_].front()].end,
                        fmt::format("what is stored of timeline {} from {} on follows on the logs of several "
                                    "servers alike, and of which of them it is cannot be told; if it is of "
                                    "the one that is used, say --branch {} too",
                                    section_.timeline, stretches_[reached_ + 1].begin.str(),
                                    branch_name(stretches_[reached_ + 1].versions.front().slices.front())),
                        {},
                        {}};
            return;
        }
        if (stretches_[reached_].has_rivals()) {
            // The branch ends, and another goes on.
            for (std::size_t k = reached_ + 1; k < groups_.size(); ++k)
                verdict.aside.insert(verdict.aside.end(), groups_[k].begin(), groups_[k].end());
            return;
        }
        const Lsn at = stretches_[reached_].end;
        verdict.stop = LogStop{at,
                               fmt::format("what is stored of timeline {} from {} on does not follow on the "
                                           "log before it: another server has written it",
                                           section_.timeline, at.str()),
                               {},
                               {}};
    }

    void put_aside(std::size_t k, std::size_t used, BranchVerdict& verdict) const {
        const LogStretch& stretch = stretches_[k];
        for (std::size_t i = 0; i < stretch.versions.size(); ++i) {
            if (i == used) continue;
            for (const LogSliceId& slice : stretch.versions[i].slices)
                if (is_only_in(stretch, stretch.versions[i], slice)) verdict.aside.push_back(slice);
        }
    }

    LogBranch branch_of(std::size_t k, std::size_t i) const {
        const LogStretch& stretch = stretches_[k];
        const LogVersion& version = stretch.versions[i];
        LogBranch branch;
        const auto own = std::ranges::find_if(
            version.slices, [&](const LogSliceId& slice) { return is_only_in(stretch, version, slice); });
        branch.first = own == version.slices.end() ? version.slices.front() : *own;
        branch.name = branch_name(branch.first);
        extend(branch, version);
        return branch;
    }
    void extend(LogBranch& branch, const LogVersion& version) const {
        branch.end = std::max(branch.end, version.end);
        for (const LogSliceId& slice : version.slices) {
            const std::int64_t time = source_.details(slice).last_commit_us;
            if (time != 0 && (!branch.last_commit || *branch.last_commit < from_unix_microseconds(time)))
                branch.last_commit = from_unix_microseconds(time);
        }
    }

    // As far as a branch leads through what was looked at, past what is used.
    LogBranch followed(std::size_t k, std::size_t i) const {
        LogBranch branch = branch_of(k, i);
        for (; k + 1 < stretches_.size(); ++k) {
            const LogVersion& version = stretches_[k].versions[i];
            const std::vector<LogVersion>& next = stretches_[k + 1].versions;
            std::optional<std::size_t> found;
            for (std::size_t j = 0; j < next.size(); ++j) {
                if (!may_follow(version, next[j])) continue;
                if (!found || share_a_run(version, next[j])) found = j;
            }
            if (!found) break;
            i = *found;
            extend(branch, next[i]);
        }
        return branch;
    }

    // One is used here. Rivals in stretch after stretch are told as one fork.
    void pass(std::size_t k, BranchVerdict& verdict) const {
        const std::size_t used = valid_[k].front();
        put_aside(k, used, verdict);
        if (k > 0 && stretches_[k - 1].has_rivals()) return;
        LogFork fork{section_.timeline, differs_[k], {followed(k, used)}, true};
        for (std::size_t i = 0; i < stretches_[k].versions.size(); ++i)
            if (i != used) fork.branches.push_back(followed(k, i));
        verdict.forks.push_back(std::move(fork));
    }

    void stop_at_fork(std::size_t k, BranchVerdict& verdict) {
        LogStretch& stretch = stretches_[k];
        LogFork fork{section_.timeline, stretch.end, {}, false};
        for (const std::size_t i : valid_[k]) {
            for (const std::size_t j : valid_[k])
                if (i < j)
                    fork.at = std::min(fork.at, first_difference(content_of(source_, stretch.versions[i]),
                                                                 content_of(source_, stretch.versions[j])));
            fork.branches.push_back(followed(k, i));
        }
        const std::size_t used = valid_[k].front();
        put_aside(k, used, verdict);
        const LogVersion& version = stretch.versions[used];
        const WalDetails before = details_up_to(*version.content, fork.at);
        LogStop stop;
        // Records that are cut off there are of no use.
        stop.at = before.records_to ? before.records_to : stretch.begin;
        stop.why = describe(fork);
        for (const LogSliceId& slice : version.slices)
            if (slice.range.end > stop.at.value) stop.cut_short.emplace(slice, before);
        stop.fork = std::move(fork);
        verdict.stop = std::move(stop);
    }

    const RecoverySource& source_;
    const Snapshot& snapshot_;
    const Section section_;
    const std::span<const std::string> chosen_;
    const std::vector<std::vector<LogSliceId>> groups_;
    std::vector<LogStretch> stretches_; // of the groups, as far as they were looked at
    std::vector<Lsn> differs_;          // where the contents of each begin to differ, as far as that is known
    std::vector<LogSliceId> dropped_;
    std::vector<Choice> valid_;
    std::vector<std::vector<Choice>> follows_; // by stretch and version of the one before
    std::size_t reached_ = 0;                  // the last stretch that something valid leads to
    std::optional<std::size_t> pinned_;        // the last one that must be on the way
    std::optional<std::size_t> undecided_;     // one that may be of several of those before it
    bool off_choice_ = false;
};

} // namespace

std::string branch_name(const LogSliceId& slice) { return slice.run.hex().substr(0, branch_name_digits); }

std::string describe(const LogFork& fork) {
    std::string text =
        fmt::format("there are {} logs of timeline {} from {} on, of servers that took themselves for the "
                    "same one: ",
                    fork.branches.size(), fork.timeline, fork.at.str());
    for (std::size_t i = 0; i < fork.branches.size(); ++i) {
        const LogBranch& branch = fork.branches[i];
        text += fmt::format("{}{} to {}", i == 0 ? "" : ", ", branch.name, branch.end.str());
        if (branch.last_commit) text += fmt::format(" (last commit {})", to_rfc3339(*branch.last_commit));
        if (i == 0 && fork.decided) text += " is used";
    }
    return text;
}

BranchVerdict judge_branches(const RecoverySource& source, const Snapshot& snapshot,
                             std::span<const PathStep> steps, std::span<const std::string> chosen) {
    BranchVerdict verdict;
    for (const Section& section : sections_of(steps)) {
        Way(source, snapshot, section, chosen).find(verdict);
        if (verdict.stop || verdict.off_choice) break;
    }
    std::ranges::sort(verdict.aside);
    verdict.aside.erase(std::ranges::unique(verdict.aside).begin(), verdict.aside.end());
    return verdict;
}

} // namespace holdfast::postgres
