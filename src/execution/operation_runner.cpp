#include "execution/operation_runner.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

// More would fill the catalog with what one program repeats.
constexpr std::size_t most_log_lines = 2'000;
// How long the end of an operation is tried to be told to a catalog that is away when this process is to end.
constexpr Duration last_words = std::chrono::seconds(10);
constexpr Duration try_again = std::chrono::seconds(1);

} // namespace

// One operation under way here, and what its executor tells.
class OperationRunner::Run final : public ExecutionReport {
  public:
    Run(OperationRunner& runner, Operation claimed)
        : operation(claimed), runner_(runner), claim_(std::move(claimed)), kept_(runner.clock_.steady()) {}

    void start(const std::stop_token& stop) {
        thread_ = std::jthread([this, stop] {
            const ExecutionOutcome outcome = carry_out();
            runner_.end(*this, outcome, stop);
            ended = true;
            runner_.wake();
        });
    }

    // A defect in one is the end of that one, and not of the server.
    ExecutionOutcome carry_out() {
        try {
            return runner_.executor_.carry_out(operation, *this, stop_.get_token());
        } catch (const std::exception& error) {
            return {.state = OperationState::failed,
                    .error = error_json(
                        Error(ErrorCode::internal, fmt::format("a defect in holdfast: {}", error.what())))};
        }
    }

    void progress(const OperationProgress& progress) override {
        const std::scoped_lock lock(mutex_);
        progress_ = progress;
    }
    void log(std::string_view level, std::string_view message) override {
        if (++lines_ > most_log_lines) return;
        try {
            runner_.operations_.log(operation.id, level,
                                    lines_ == most_log_lines ? "what follows is left out" : message);
        } catch (const Error& error) {
            runner_.tell_of(error);
        }
    }

    bool is_unwanted() const override { return cancelled || lost; }

    // What two must not carry out at the same time does not go on when its lease has ended, whatever keeps it
    // from being renewed.
    void stop_without_lease() {
        const OperationRunnerSettings& settings = runner_.settings_;
        if (settings.harmless_twice.contains(operation.kind)) return;
        if (runner_.clock_.steady() - kept_ < settings.lease) return;
        lapsed = true;
        stop_.request_stop();
    }

    // Renews the lease when it is time, and stops what is not to go on. Throws what the catalog throws.
    void keep() {
        const OperationRunnerSettings& settings = runner_.settings_;
        const Duration now = runner_.clock_.steady();
        const Duration age = now - kept_;
        if (age < settings.renew_every) return;
        OperationProgress progress;
        {
            const std::scoped_lock lock(mutex_);
            progress = progress_;
        }
        const Operations::Renewal renewal = runner_.operations_.renew(claim(), settings.lease, progress);
        kept_ = now;
        if (!renewal.ours) lost = true;
        if (renewal.cancel_requested) cancelled = true;
        if (lost || cancelled) stop_.request_stop();
    }
    void request_stop() { stop_.request_stop(); }

    // What the catalog knows it by.
    Operation claim() const {
        const std::scoped_lock lock(mutex_);
        return claim_;
    }
    // It was claimed anew, by ourselves.
    void take(Operation claimed) {
        const std::scoped_lock lock(mutex_);
        claim_ = std::move(claimed);
    }

    const Operation operation;        // as it was begun
    std::atomic<bool> settled{false}; // the catalog was told how it ended
    std::atomic<bool> ended{false};
    std::atomic<bool> lost{false};      // another has it, or it is over
    std::atomic<bool> cancelled{false}; // it was asked to be
    std::atomic<bool> lapsed{false};    // its lease ended before it could be renewed

  private:
    OperationRunner& runner_;
    std::stop_source stop_;
    mutable std::mutex mutex_;
    Operation claim_;
    OperationProgress progress_;
    Duration kept_; // when the lease was last renewed
    std::atomic<std::size_t> lines_{0};
    std::jthread thread_;
};

OperationRunner::OperationRunner(Operations& operations, Executor& executor, Clock& clock, Random& random,
                                 Logger& logger, OperationRunnerSettings settings)
    : operations_(operations),
      executor_(executor),
      clock_(clock),
      random_(random),
      logger_(logger),
      settings_(std::move(settings)) {}

OperationRunner::~OperationRunner() = default;

void OperationRunner::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        try {
            remove_ended();
            keep();
            claim_what_can_be(stop);
            if (told_.exchange(false)) logger_.info("catalog answers again");
        } catch (const Error& error) {
            tell_of(error);
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, settings_.look_again, [&] { return woken_; });
        woken_ = false;
    }
    for (const auto& run : runs_) run->request_stop();
    while (!runs_.empty()) {
        remove_ended();
        try {
            keep();
        } catch (const Error& error) {
            tell_of(error);
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, settings_.look_again, [&] { return woken_; });
        woken_ = false;
    }
}

void OperationRunner::wake() {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

std::size_t OperationRunner::running() const {
    const std::scoped_lock lock(mutex_);
    return runs_.size();
}

void OperationRunner::remove_ended() {
    std::list<std::unique_ptr<Run>> ended;
    const std::scoped_lock lock(mutex_);
    for (auto run = runs_.begin(); run != runs_.end();) {
        const auto next = std::next(run);
        if ((*run)->ended) ended.splice(ended.end(), runs_, run);
        run = next;
    }
}

// Only this thread changes the list, so it is read here without the lock.
void OperationRunner::keep() {
    for (const auto& run : runs_)
        if (!run->ended) run->stop_without_lease();
    for (const auto& run : runs_)
        if (!run->ended) run->keep();
}

void OperationRunner::claim_what_can_be(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::optional<Operation> claimed;
        {
            // Nothing ends between being claimed anew and knowing of it.
            const std::scoped_lock lock(settling_);
            claimed = operations_.claim(settings_.owner, settings_.lease, settings_.limits);
            if (!claimed) return;
            // A clock that leaps ends the leases of what is under way here too.
            const auto ours = std::ranges::find_if(runs_, [&](const auto& run) {
                return run->operation.id == claimed->id && !run->settled && !run->lost;
            });
            if (ours != runs_.end()) {
                (*ours)->take(std::move(*claimed));
                continue;
            }
        }
        if (claimed->losses >= settings_.limits.losses) {
            give_up(*claimed);
            continue;
        }
        logger_.info("operation begins", {{"operation", claimed->id},
                                          {"kind", claimed->kind},
                                          {"source", claimed->source.value_or("")},
                                          {"attempt", claimed->attempts}});
        auto run = std::make_unique<Run>(*this, std::move(*claimed));
        Run& started = *run;
        {
            const std::scoped_lock lock(mutex_);
            runs_.push_back(std::move(run));
        }
        started.start(stop);
    }
}

void OperationRunner::give_up(const Operation& operation) {
    const ExecutionOutcome outcome{
        .state = OperationState::failed,
        .error = error_json(Error(
            ErrorCode::internal,
            fmt::format("{} servers were lost one after the other while they carried it out, and it came "
                        "no further: it is not begun again",
                        operation.losses),
            "find out from their logs what ended them, then ask for it again"))};
    if (!settle(operation, outcome, false)) return;
    logger_.error("operation is given up", {{"operation", operation.id}, {"losses", operation.losses}});
    if (settings_.on_end) settings_.on_end(operation, outcome);
}

void OperationRunner::end(Run& run, const ExecutionOutcome& outcome, const std::stop_token& stop) {
    if (settings_.before_end) settings_.before_end(run.operation, outcome);
    const Duration begun = clock_.steady();
    while (!run.lost) {
        try {
            // One that had to stop half-way through is not begun anew by itself.
            const bool interrupted =
                outcome.state == OperationState::cancelled && !run.cancelled && !run.lapsed;
            const std::scoped_lock lock(settling_);
            run.settled = settle(run.claim(), outcome, interrupted);
            if (!run.settled) run.lost = true;
            break;
        } catch (const Error& error) {
            tell_of(error);
            if (stop.stop_requested() && clock_.steady() - begun > last_words) return;
            clock_.sleep_for(try_again);
        }
    }
    // What was settled is over, which a renewal that comes behind it takes for lost.
    if (!run.settled) {
        logger_.warning("operation was taken over by another server, or is over",
                        {{"operation", run.operation.id}});
        return;
    }
    logger_.info("operation ends",
                 {{"operation", run.operation.id}, {"state", std::string(to_string(outcome.state))}});
    if (settings_.on_end) settings_.on_end(run.operation, outcome);
}

// `interrupted`: it was not asked to be cancelled, but this server ends. False when it is not ours any more.
bool OperationRunner::settle(const Operation& operation, const ExecutionOutcome& outcome, bool interrupted) {
    if (interrupted) {
        return operations_.put_back(operation, Operations::Why::interrupted, clock_.now(),
                                    outcome.error.value_or("{}"));
    }
    const bool again = outcome.state == OperationState::failed && outcome.retryable &&
                       operation.failures + 1 < settings_.most_attempts;
    if (!again) {
        return operations_.finish(operation, outcome.state, outcome.result, outcome.error,
                                  [&](Database& database) {
                                      if (settings_.with_end)
                                          settings_.with_end(database, operation, outcome);
                                  });
    }
    return operations_.put_back(operation, Operations::Why::failed,
                                clock_.now() + wait_before(operation.failures + 1),
                                outcome.error.value_or("{}"));
}

// Doubled with each failure; up to a fifth more, so that what failed together is not tried together.
Duration OperationRunner::wait_before(std::int64_t failures) const {
    Duration wait = settings_.first_retry;
    for (std::int64_t i = 1; i < failures && wait < settings_.longest_retry; ++i) wait *= 2;
    wait = std::min(wait, settings_.longest_retry);
    return wait + Duration(random_.below(static_cast<std::uint64_t>(wait.count()) / 5 + 1));
}

// Once, until it answers again.
void OperationRunner::tell_of(const Error& error) {
    if (!told_.exchange(true)) logger_.error("catalog fails", {{"reason", error.message()}});
}

} // namespace holdfast
