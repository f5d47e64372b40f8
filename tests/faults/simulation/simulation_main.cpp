// Runs schedules of the writer and collector protocol, or shows one.
//
//   holdfast_simulation [--schedules N] [--first-seed S] [--without STEP]
//   holdfast_simulation --seed S [--steps] [--without STEP]
//   holdfast_simulation --mutations [--schedules N] [--first-seed S] [--without STEP]
//
// --mutations leaves out one step of the protocol after the other, or the one that is named, and expects that
// then something is lost: with the seed that is known for the step, or else with another.
#include "base/error.h"
#include "base/task_group.h"
#include "faults/simulation/schedule.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace {

using namespace holdfast;
using namespace holdfast::simulation;

struct Step {
    std::string_view name;
    bool ProtocolSteps::* member;
    std::uint64_t seed = 0; // of a schedule that loses something without it; 0: none was met yet
};
// The rows of the tables in sections 10 and 11 of docs/format.md.
constexpr std::array steps{
    Step{"intent", &ProtocolSteps::intent, 11},
    Step{"keep-first-beat", &ProtocolSteps::keep_first_beat},
    Step{"read-condemned", &ProtocolSteps::read_condemned, 2},
    Step{"read-verdicts", &ProtocolSteps::read_verdicts, 9},
    Step{"condemned-before-verdicts", &ProtocolSteps::condemned_before_verdicts},
    Step{"intent-before-lists", &ProtocolSteps::intent_before_lists},
    Step{"list-packs", &ProtocolSteps::list_packs, 72},
    Step{"compare-checkpoints", &ProtocolSteps::compare_checkpoints, 1452},
    Step{"packs-before-commit", &ProtocolSteps::packs_before_commit, 577},
    Step{"commit-if-absent", &ProtocolSteps::commit_if_absent, 29},
    Step{"compare-taken", &ProtocolSteps::compare_taken, 7},
    Step{"keep-tried-intent", &ProtocolSteps::keep_tried_intent},
    Step{"look-behind-locks", &ProtocolSteps::look_behind_locks},
    Step{"collector-intent", &ProtocolSteps::collector_intent, 1584},
    Step{"intents-before-verdicts", &ProtocolSteps::intents_before_verdicts},
    Step{"look-again", &ProtocolSteps::look_again},
    Step{"end-other-collectors", &ProtocolSteps::end_other_collectors, 72},
    Step{"abandon-if-absent", &ProtocolSteps::abandon_if_absent},
    Step{"finish-decided", &ProtocolSteps::finish_decided, 292},
    Step{"distrust-returned-packs", &ProtocolSteps::distrust_returned_packs, 760},
    Step{"ask-for-locks", &ProtocolSteps::ask_for_locks, 26},
    Step{"condemn-before-intents", &ProtocolSteps::condemn_before_intents, 20},
    Step{"wait-for-writers", &ProtocolSteps::wait_for_writers, 12},
    Step{"fence", &ProtocolSteps::fence, 74},
    Step{"fence-if-absent", &ProtocolSteps::fence_if_absent, 293},
    Step{"mark-again", &ProtocolSteps::mark_again, 5},
    Step{"verdict-if-absent", &ProtocolSteps::verdict_if_absent, 78},
    Step{"unite-verdicts", &ProtocolSteps::unite_verdicts, 210},
    Step{"moved-before-delete", &ProtocolSteps::moved_before_delete, 1352},
    Step{"drop-verdicts-late", &ProtocolSteps::drop_verdicts_late},
    Step{"keep-forgets", &ProtocolSteps::keep_forgets, 37},
    Step{"keep-fences", &ProtocolSteps::keep_fences, 74},
    Step{"keep-verdicts", &ProtocolSteps::keep_verdicts, 4},
    Step{"heed-log-begins", &ProtocolSteps::heed_log_begins, 519},
    Step{"read-condemned-floors", &ProtocolSteps::read_condemned_floors},
    Step{"read-decided-floors", &ProtocolSteps::read_decided_floors},
    Step{"log-before-commit", &ProtocolSteps::log_before_commit, 70},
    Step{"keep-log-marks", &ProtocolSteps::keep_log_marks, 454},
    Step{"logs-behind-verdict", &ProtocolSteps::logs_behind_verdict, 489},
    Step{"leave-unnamed-logs", &ProtocolSteps::leave_unnamed_logs, 66},
};

struct Options {
    std::uint64_t schedules = 2000;
    std::uint64_t first_seed = 1;
    std::optional<std::uint64_t> seed;
    bool show_steps = false;
    bool mutations = false;
    std::string without;
};

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return text.empty() ? std::nullopt : std::optional(value);
}

std::optional<Options> parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (name == "--steps") {
            options.show_steps = true;
        } else if (name == "--mutations") {
            options.mutations = true;
        } else if (i + 1 < count && name == "--without") {
            options.without = arguments[++i];
        } else if (i + 1 < count && number(arguments[i + 1])) {
            const std::uint64_t value = *number(arguments[++i]);
            if (name == "--schedules")
                options.schedules = value;
            else if (name == "--first-seed")
                options.first_seed = value;
            else if (name == "--seed")
                options.seed = value;
            else
                return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    return options;
}

std::optional<ProtocolSteps> steps_without(std::string_view name) {
    ProtocolSteps all;
    if (name.empty()) return all;
    for (const Step& step : steps) {
        if (step.name != name) continue;
        all.*step.member = false;
        return all;
    }
    return std::nullopt;
}

std::string replay(std::uint64_t seed, std::string_view without) {
    return fmt::format("build/tests/holdfast_simulation --seed {}{}{} --steps", seed,
                       without.empty() ? "" : " --without ", without);
}

int show(const Keys& keys, const Options& options, const ProtocolSteps& chosen) {
    const auto print = [](const std::string& line) { std::cout << line << '\n'; };
    const ScheduleResult result = options.show_steps ? run_schedule(keys, *options.seed, chosen, print)
                                                     : run_schedule(keys, *options.seed, chosen);
    std::cout << (result.violation() ? "FAILED: " + *result.violation() : "nothing was lost") << '\n';
    return result.violation() ? 1 : 0;
}

struct Failure {
    std::uint64_t seed = 0;
    std::string what;
};

// Schedules one behind the other, on as many threads as there are processors: they share nothing but keys.
class Series {
  public:
    Series(const Keys& keys, const Options& options, const ProtocolSteps& chosen, bool only_losses)
        : keys_(keys),
          chosen_(chosen),
          only_losses_(only_losses),
          next_(options.first_seed),
          end_(options.first_seed + options.schedules) {}

    // Until one fails. Of several that do, the one with the least seed.
    std::optional<Failure> run() {
        TaskGroup threads;
        for (unsigned i = 0; i < worker_count(); ++i) {
            threads.start([this](const std::stop_token&) { work(); });
        }
        threads.wait();
        return failure_;
    }
    const ScheduleResult& sum() const { return sum_; }

  private:
    void work() {
        while (const std::optional<std::uint64_t> seed = take()) {
            const ScheduleResult result = run_schedule(keys_, *seed, chosen_);
            const std::scoped_lock lock(mutex_);
            sum_.add(result);
            const std::optional<std::string> what = only_losses_ ? result.lost : result.violation();
            if (what && (!failure_ || *seed < failure_->seed)) failure_ = Failure{*seed, *what};
        }
    }
    std::optional<std::uint64_t> take() {
        const std::scoped_lock lock(mutex_);
        if (failure_ || next_ == end_) return std::nullopt;
        return next_++;
    }

    const Keys& keys_;
    const ProtocolSteps& chosen_;
    const bool only_losses_;
    std::mutex mutex_; // everything below
    std::uint64_t next_;
    const std::uint64_t end_;
    ScheduleResult sum_;
    std::optional<Failure> failure_;
};

int run_many(const Keys& keys, const Options& options, const ProtocolSteps& chosen) {
    const auto started = std::chrono::steady_clock::now();
    Series series(keys, options, chosen, false);
    if (const std::optional<Failure> failure = series.run()) {
        std::cout << fmt::format("seed {}: {}\nsee it with: {}\n", failure->seed, failure->what,
                                 replay(failure->seed, options.without));
        return 1;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const ScheduleResult& all = series.sum();
    std::cout << fmt::format(
        "{} schedules in {:.1f} s: {} operations, {} commits, {} collections, {} fences, "
        "{} backups that left, {} that went on from a checkpoint, {} that locked, {} "
        "documents taken over, {} slices of logs deleted; nothing was lost\n",
        options.schedules, seconds, all.operations, all.commits, all.collections, all.fenced, all.left,
        all.resumed, all.locks, all.reused, all.dropped_slices);
    // A simulation in which nothing happens proves nothing.
    const bool lively = all.commits > 0 && all.collections > 0 && all.fenced > 0 && all.left > 0 &&
                        all.resumed > 0 && all.reused > 0 && all.locks > 0 && all.dropped_slices > 0;
    if (options.schedules >= 500 && !lively) {
        std::cout << "but hardly anything happened in them\n";
        return 1;
    }
    return 0;
}

// What is lost without the step.
std::optional<Failure> needed(const Keys& keys, const Options& options, const Step& step) {
    const ProtocolSteps mutated = *steps_without(step.name);
    if (step.seed != 0)
        if (const auto lost = run_schedule(keys, step.seed, mutated).lost) return Failure{step.seed, *lost};
    return Series(keys, options, mutated, true).run();
}

int run_mutations(const Keys& keys, const Options& options) {
    int survivors = 0;
    for (const Step& step : steps) {
        if (options.without.empty() ? step.seed == 0 : step.name != options.without) continue;
        if (const std::optional<Failure> failure = needed(keys, options, step)) {
            std::cout << fmt::format("without {}: seed {}: {}\n", step.name, failure->seed, failure->what);
        } else {
            ++survivors;
            std::cout << fmt::format(
                "without {}: nothing was lost in {} schedules: the simulation is too kind\n", step.name,
                options.schedules);
        }
        std::cout.flush();
    }
    return survivors == 0 ? 0 : 1;
}

} // namespace

int main(int count, char** arguments) {
    const std::optional<Options> options = parse(count, arguments);
    const std::optional<ProtocolSteps> chosen = options ? steps_without(options->without) : std::nullopt;
    if (!chosen) {
        std::cerr << "usage: holdfast_simulation [--schedules N] [--first-seed S] [--seed S [--steps]] "
                     "[--without STEP] "
                     "[--mutations]\nsteps:";
        for (const Step& step : steps) std::cerr << ' ' << step.name;
        std::cerr << '\n';
        return 2;
    }
    try {
        const Keys keys;
        if (options->mutations) return run_mutations(keys, *options);
        return options->seed ? show(keys, *options, *chosen) : run_many(keys, *options, *chosen);
    } catch (const Error& error) {
        std::cerr << "error: " << error.message() << '\n';
        return 1;
    }
}
