// Runs schedules of the writer and collector protocol, or shows one.
//
//   holdfast_simulation [--schedules N] [--first-seed S] [--without STEP]
//   holdfast_simulation --seed S [--steps] [--without STEP]
//   holdfast_simulation --mutations [--schedules N]
//
// --mutations leaves out one step of the protocol after the other and expects that then something is lost.
#include "base/error.h"
#include "faults/simulation/schedule.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
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
};
// The rows of the tables in sections 10 and 11 of docs/format.md.
constexpr std::array steps{
    Step{"intent", &ProtocolSteps::intent},
    Step{"read-condemned", &ProtocolSteps::read_condemned},
    Step{"list-packs", &ProtocolSteps::list_packs},
    Step{"packs-before-commit", &ProtocolSteps::packs_before_commit},
    Step{"commit-if-absent", &ProtocolSteps::commit_if_absent},
    Step{"end-other-collectors", &ProtocolSteps::end_other_collectors},
    Step{"distrust-returned-packs", &ProtocolSteps::distrust_returned_packs},
    Step{"condemn-before-intents", &ProtocolSteps::condemn_before_intents},
    Step{"wait-for-writers", &ProtocolSteps::wait_for_writers},
    Step{"mark-again", &ProtocolSteps::mark_again},
    Step{"verdict-if-absent", &ProtocolSteps::verdict_if_absent},
    Step{"moved-before-delete", &ProtocolSteps::moved_before_delete},
    Step{"keep-forgets", &ProtocolSteps::keep_forgets},
    Step{"keep-verdicts", &ProtocolSteps::keep_verdicts},
    // Of section 11.
    Step{"heed-log-begins", &ProtocolSteps::heed_log_begins},
    Step{"log-before-commit", &ProtocolSteps::log_before_commit},
    Step{"keep-log-marks", &ProtocolSteps::keep_log_marks},
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

int run_many(const Keys& keys, const Options& options, const ProtocolSteps& chosen) {
    ScheduleResult all;
    const auto started = std::chrono::steady_clock::now();
    for (std::uint64_t seed = options.first_seed; seed < options.first_seed + options.schedules; ++seed) {
        const ScheduleResult result = run_schedule(keys, seed, chosen);
        if (result.violation()) {
            std::cout << fmt::format("seed {}: {}\nsee it with: {}\n", seed, *result.violation(),
                                     replay(seed, options.without));
            return 1;
        }
        all.operations += result.operations;
        all.commits += result.commits;
        all.collections += result.collections;
        all.fenced += result.fenced;
        all.left += result.left;
        all.resumed += result.resumed;
        all.reused += result.reused;
        all.dropped_slices += result.dropped_slices;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    std::cout << fmt::format(
        "{} schedules in {:.1f} s: {} operations, {} commits, {} collections, {} fences, {} backups "
        "that left, {} that went on from a checkpoint, {} frames reused, {} slices of logs deleted; nothing "
        "was lost\n",
        options.schedules, seconds, all.operations, all.commits, all.collections, all.fenced, all.left,
        all.resumed, all.reused, all.dropped_slices);
    // A simulation in which nothing happens proves nothing.
    const bool lively = all.commits > 0 && all.collections > 0 && all.fenced > 0 && all.left > 0 &&
                        all.resumed > 0 && all.reused > 0 && all.dropped_slices > 0;
    if (options.schedules >= 500 && !lively) {
        std::cout << "but hardly anything happened in them\n";
        return 1;
    }
    return 0;
}

int run_mutations(const Keys& keys, const Options& options) {
    int survivors = 0;
    for (const Step& step : steps) {
        const ProtocolSteps mutated = *steps_without(step.name);
        std::optional<std::string> lost;
        std::uint64_t seed = options.first_seed;
        for (; seed < options.first_seed + options.schedules && !lost; ++seed) {
            lost = run_schedule(keys, seed, mutated).lost;
        }
        if (lost) {
            std::cout << fmt::format("without {}: seed {}: {}\n", step.name, seed - 1, *lost);
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
