// Random workloads on real clusters, and what snapshots of them are worth.
//
//   postgres_workloads [--lives N] [--first-seed S] [--seconds T] [--workloads N] [--version V]
//   postgres_workloads --seed S [--steps] [--keep] [--workloads N] [--version V]
//
// A life is one cluster, made anew, with several workloads; its seed decides what happens in it, but for what
// sessions that run side by side do to each other. --seconds begins no further life behind that time.
#include "base/error.h"
#include "workloads/life.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace {

using namespace holdfast;
using namespace holdfast::workloads;

struct Options {
    std::uint64_t lives = 1, first_seed = 1, seconds = 0, workloads = 6, version = 15;
    std::optional<std::uint64_t> seed;
    bool steps = false, keep = false;
};

std::optional<Options> parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (name == "--steps") {
            options.steps = true;
            continue;
        }
        if (name == "--keep") {
            options.keep = true;
            continue;
        }
        if (++i == count) return std::nullopt;
        const std::string_view text = arguments[i];
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
        if (name == "--lives")
            options.lives = value;
        else if (name == "--first-seed")
            options.first_seed = value;
        else if (name == "--seconds")
            options.seconds = value;
        else if (name == "--workloads")
            options.workloads = value;
        else if (name == "--version")
            options.version = value;
        else if (name == "--seed")
            options.seed = value;
        else
            return std::nullopt;
    }
    return options;
}

// Empty when all went well.
std::string live(const LifeSettings& settings, LifeCounts& all) {
    std::optional<Life> life;
    std::string trouble;
    try {
        life.emplace(settings);
        life->run();
    } catch (const ServerLost& lost) {
        fmt::print("seed {}: the server is lost, which is PostgreSQL's own: {}\n", settings.seed,
                   lost.what());
    } catch (const Error& error) {
        trouble = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    if (life) all.add(life->counts());
    if (life && !trouble.empty()) trouble += "\n" + life->last_words();
    if (!trouble.empty() && settings.keep) {
        std::puts(trouble.c_str());
        std::puts("its files are left as they are");
        std::fflush(stdout);
        std::_Exit(1);
    }
    return trouble;
}

int run(const Options& options) {
    const auto started = std::chrono::steady_clock::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    };
    LifeCounts all;
    std::uint64_t lives = 0;
    std::mutex mutex;
    for (std::uint64_t seed = options.seed.value_or(options.first_seed);; ++seed, ++lives) {
        if (options.seed ? lives == 1 : options.seconds == 0 && lives == options.lives) break;
        if (options.seconds != 0 && seconds() > double(options.seconds)) break;
        LifeSettings settings;
        settings.seed = seed;
        settings.version = static_cast<int>(options.version);
        settings.workloads = static_cast<unsigned>(options.workloads);
        settings.keep = options.keep;
        if (options.steps)
            settings.narrate = [&](const std::string& line) {
                const std::scoped_lock lock(mutex);
                fmt::print("{:7.2f} {}\n", seconds(), line);
                std::fflush(stdout);
            };
        if (const std::string trouble = live(settings, all); !trouble.empty()) {
            fmt::print("seed {}: {}\nsee it with: postgres_workloads --seed {} --workloads {} --version {} "
                       "--steps --keep\n",
                       seed, trouble, seed, options.workloads, options.version);
            return 1;
        }
    }
    fmt::print("{} clusters in {:.0f} s, {}\n", lives, seconds(), all.str());
    // A run in which nothing happens proves nothing.
    const bool lively = all.incremental > 0 && all.crashes > 0 && all.under_load > 0 && all.recoveries > 0;
    if (all.workloads >= 40 && !lively) {
        fmt::print("but hardly anything happened in them\n");
        return 1;
    }
    // It is seldom.
    if (all.servers_lost > 1 + lives / 20) {
        fmt::print("but too many servers were lost for it to be PostgreSQL's own\n");
        return 1;
    }
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    // A server that is killed while it is written to is an error of that session, and not our end.
    std::signal(SIGPIPE, SIG_IGN);
    const std::optional<Options> options = parse(count, arguments);
    if (!options) {
        fmt::print(stderr,
                   "usage: postgres_workloads [--lives N] [--first-seed S] [--seconds T] [--workloads N] "
                   "[--version V] [--seed S] [--steps] [--keep]\n");
        return 2;
    }
    return run(*options);
}
