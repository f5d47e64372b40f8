#include "repository/level_chooser.h"

#include "base/error.h"
#include "repository/compression.h"

#include <algorithm>

namespace holdfast {

namespace {

// Long enough for waiting to mean something, short enough to choose early in a run.
constexpr std::uint64_t window_bytes = std::uint64_t{32} << 20;
constexpr std::uint32_t frames_per_trial = 8;
// How many windows a direction is left alone, at most, after it was found bad again and again.
constexpr std::uint32_t longest_hold = 64;
// How many windows pass before a step may be taken back.
constexpr std::uint32_t settling_windows = 4;

// Workers idle for this part of their work: the store is the limit.
constexpr double store_bound_idle = 0.25;
// Below this, and uploaders idle for more than the other: the processor is the limit.
constexpr double cpu_bound_idle = 0.05;
// A step up must save this part of the stored bytes.
constexpr double least_gain_up = 0.005;
// A step below the start may cost this part of the stored bytes, and must save that part of the time. Two
// such steps stay within 3%.
constexpr double most_loss_down = 0.015;
constexpr double least_time_saved_down = 0.10;

double part(Duration of, Duration whole) {
    return whole.count() <= 0 ? 0 : static_cast<double>(of.count()) / static_cast<double>(whole.count());
}

double part(std::uint64_t of, std::uint64_t whole) {
    return whole == 0 ? 1 : static_cast<double>(of) / static_cast<double>(whole);
}

} // namespace

std::uint64_t CompressionReport::raw_bytes() const {
    std::uint64_t sum = skipped_bytes;
    for (const LevelUse& use : levels) sum += use.raw_bytes;
    return sum;
}

std::uint64_t CompressionReport::stored_bytes() const {
    std::uint64_t sum = skipped_bytes;
    for (const LevelUse& use : levels) sum += use.stored_bytes;
    return sum;
}

double CompressionReport::ratio() const { return part(stored_bytes(), raw_bytes()); }

LevelChooser::LevelChooser(LevelSettings settings) : settings_(settings), level_(settings.start) {
    if (settings.lowest < lowest_zstd_level || settings.highest > highest_zstd_level ||
        settings.start < settings.lowest || settings.start > settings.highest) {
        throw Error(ErrorCode::usage, "the limits of the compression level make no sense",
                    "levels go from 1 to 19, and the first one must lie within the limits");
    }
}

int LevelChooser::level() const {
    const std::scoped_lock lock(mutex_);
    return level_;
}

int LevelChooser::thorough_level() const {
    const std::scoped_lock lock(mutex_);
    return std::max(level_, std::min(settings_.thorough, settings_.highest));
}

std::optional<int> LevelChooser::next_trial() {
    const std::scoped_lock lock(mutex_);
    if (!trial_ || trial_->asked == frames_per_trial) return std::nullopt;
    ++trial_->asked;
    return towards(trial_->direction);
}

void LevelChooser::count(const FrameMeasurement& frame) {
    LevelUse& use = uses_[frame.level];
    use.level = frame.level;
    ++use.frames;
    use.raw_bytes += frame.raw_bytes;
    use.stored_bytes += frame.stored_bytes;
    use.time += frame.time;
    window_.raw_bytes += frame.raw_bytes;
    window_.work += frame.time;
}

void LevelChooser::compressed(const FrameMeasurement& frame) {
    const std::scoped_lock lock(mutex_);
    count(frame);
    if (window_.raw_bytes >= window_bytes) end_window();
}

void LevelChooser::compared(const FrameMeasurement& used, const FrameMeasurement& trial) {
    const std::scoped_lock lock(mutex_);
    count(used);
    totals_.trial_time += trial.time;
    // An answer to a trial that another worker has ended meanwhile still counts as work, no more.
    if (trial_ && used.level == level_ && trial.level == towards(trial_->direction)) {
        ++trial_->answered;
        trial_->used_stored += used.stored_bytes;
        trial_->trial_stored += trial.stored_bytes;
        trial_->used_time += used.time;
        trial_->trial_time += trial.time;
        if (trial_->answered == frames_per_trial) end_trial();
    }
    if (window_.raw_bytes >= window_bytes) end_window();
}

void LevelChooser::skipped(std::uint64_t raw_bytes) {
    const std::scoped_lock lock(mutex_);
    ++totals_.skipped_frames;
    totals_.skipped_bytes += raw_bytes;
}

void LevelChooser::waited(Duration workers, Duration uploaders) {
    const std::scoped_lock lock(mutex_);
    window_.workers_waited += workers;
    window_.uploaders_waited += uploaders;
}

void LevelChooser::end_window() {
    const double workers_idle = part(window_.workers_waited, window_.work);
    const double uploaders_idle = part(window_.uploaders_waited, window_.work);
    window_ = {};
    for (Hold* held : {&hold_up_, &hold_down_}) {
        if (held->windows_left > 0) --held->windows_left;
    }
    // A trial that nobody answers in a whole window, because all frames are small or skipped, is given up.
    trial_.reset();
    if (workers_idle >= store_bound_idle) {
        if (level_ < settings_.highest && hold_up_.windows_left == 0) {
            trial_ = Trial{.direction = Direction::up, .idle = workers_idle};
        }
    } else if (workers_idle < cpu_bound_idle && uploaders_idle > workers_idle) {
        if (level_ <= settings_.lowest || hold_down_.windows_left > 0) return;
        // What was taken above the start was taken because it cost nothing. It does now.
        if (level_ > settings_.start) {
            step(Direction::down);
        } else {
            trial_ = Trial{.direction = Direction::down};
        }
    }
}

void LevelChooser::end_trial() {
    const Trial trial = *trial_;
    trial_.reset();
    const double size = part(trial.trial_stored, trial.used_stored);
    const double time = part(trial.trial_time, trial.used_time);
    const bool good = trial.direction == Direction::up
                          ? size <= 1 - least_gain_up && time - 1 <= trial.idle
                          : size <= 1 + most_loss_down && time <= 1 - least_time_saved_down;
    if (good) {
        step(trial.direction);
    } else {
        reject(trial.direction);
    }
}

void LevelChooser::step(Direction direction) {
    level_ = towards(direction);
    ++totals_.level_changes;
    window_ = {};
    hold(direction) = {};
    Hold& back = hold(direction == Direction::up ? Direction::down : Direction::up);
    back.windows_left = std::max(back.windows_left, settling_windows);
}

void LevelChooser::reject(Direction direction) {
    Hold& held = hold(direction);
    held.windows_left = held.next_hold;
    held.next_hold = std::min(held.next_hold * 2, longest_hold);
}

CompressionReport LevelChooser::report() const {
    const std::scoped_lock lock(mutex_);
    CompressionReport report = totals_;
    for (const auto& [level, use] : uses_) report.levels.push_back(use);
    return report;
}

} // namespace holdfast
