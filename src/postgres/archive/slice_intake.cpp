#include "postgres/archive/slice_intake.h"

#include "base/error.h"
#include "postgres/archive/slice_presence.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t waiting_slice_bytes = std::size_t{32} << 20;

} // namespace

SliceIntake::SliceIntake(Repository& repository, ArchiveId archive, SliceIntakeSettings settings,
                         std::stop_token stop)
    : repository_(repository),
      settings_(std::move(settings)),
      stop_(stop),
      archive_(repository.context(), archive),
      log_(repository.context(), archive, settings_.compression_level),
      upload_(
          log_, settings_.workers, waiting_slice_bytes,
          [this](const LogSliceId&, std::size_t bytes) { stored_bytes_ += bytes; }, stop) {}

SliceIntake::Outcome SliceIntake::add(CutSlice slice) {
    const SlicePresence presence =
        presence_of(archive_, log_, repository_.keys().reads_content(), slice, {.stop = stop_});
    if (presence == SlicePresence::same) return Outcome::already_there;
    if (presence == SlicePresence::other) {
        alarm(fmt::format("the archive has other content for {} to {} on timeline {}: two clusters write it, "
                          "or one was set back to an earlier state. Both are kept",
                          Lsn{slice.range.begin}.str(), Lsn{slice.range.end}.str(), slice.range.branch));
    }
    upload_.add(std::move(slice));
    return presence == SlicePresence::other ? Outcome::beside : Outcome::stored;
}

SliceIntake::Outcome SliceIntake::add_history(TimelineId timeline, std::string_view text,
                                              std::uint64_t system_identifier) {
    const TimelineHistory history = TimelineHistory::parse(timeline, text);
    Outcome outcome = Outcome::stored;
    if (const auto known = archive_.known_history(timeline, {.stop = stop_})) {
        if (TimelineHistory::parse(timeline, *known) == history) return Outcome::already_there;
        alarm(fmt::format("two clusters have both begun timeline {}: their history files differ", timeline));
        outcome = Outcome::beside;
    }
    CutSlice slice;
    slice.range = {timeline, 0, 0};
    slice.details.system_identifier = system_identifier;
    slice.details.history = std::string(text);
    upload_.add(std::move(slice));
    return outcome;
}

void SliceIntake::alarm(std::string what) {
    repository_.logger().error("the log of a source needs looking at",
                               {{"source", settings_.source}, {"what", what}});
    alarms_.push_back(std::move(what));
}

} // namespace holdfast::postgres
