#include "postgres/wal/timeline_history.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view blanks = " \t\r\v\f";

// The next word of `line`, which is taken off it.
std::string_view take_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const std::size_t size = std::min(line.find_first_of(blanks), line.size());
    const std::string_view word = line.substr(0, size);
    line.remove_prefix(size);
    return word;
}

std::string on_one_line(std::string_view text) {
    std::string line(text);
    std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\r' || c == '\0'; }, ' ');
    const std::size_t first = line.find_first_not_of(blanks);
    if (first == std::string::npos) return {};
    return line.substr(first, line.find_last_not_of(blanks) - first + 1);
}

std::optional<TimelineHistory::Ancestor> parse_line(std::string_view line) {
    TimelineHistory::Ancestor ancestor;
    const std::string_view number = take_word(line);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), ancestor.timeline);
    const auto position = parse_lsn(take_word(line));
    if (error != std::errc() || end != number.data() + number.size() || ancestor.timeline == 0 || !position)
        return std::nullopt;
    ancestor.end = *position;
    ancestor.reason = on_one_line(line);
    return ancestor;
}

} // namespace

TimelineHistory::TimelineHistory(TimelineId timeline) : timeline_(timeline) {
    if (timeline == 0) throw Error(ErrorCode::usage, "there is no timeline 0");
}

TimelineHistory TimelineHistory::parse(TimelineId timeline, std::string_view text) {
    TimelineHistory history(timeline);
    while (!text.empty()) {
        const std::size_t size = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, size);
        text.remove_prefix(std::min(size + 1, text.size()));
        const std::size_t first = line.find_first_not_of(blanks);
        if (first == std::string_view::npos || line[first] == '#') continue;
        auto ancestor = parse_line(line);
        const auto fail = [&](std::string_view why) {
            throw Error(ErrorCode::corrupt, fmt::format("{}: {}: \"{}\"", history_name(timeline), why, line));
        };
        if (!ancestor) {
            fail("expected a timeline and a position of the log");
        } else {
            if (ancestor->timeline >= timeline) fail("an ancestor must have a lower number than its child");
            if (!history.ancestors_.empty() && (ancestor->timeline <= history.ancestors_.back().timeline ||
                                                ancestor->end < history.ancestors_.back().end))
                fail("timelines and positions must rise");
            history.ancestors_.push_back(std::move(*ancestor));
        }
    }
    return history;
}

std::string TimelineHistory::text() const {
    std::string text;
    for (const Ancestor& ancestor : ancestors_)
        text += fmt::format("{}\t{}\t{}\n", ancestor.timeline, ancestor.end.str(), ancestor.reason);
    return text;
}

TimelineHistory TimelineHistory::branch(TimelineId timeline, Lsn end, std::string_view reason) const {
    if (timeline <= timeline_ || (!ancestors_.empty() && end < ancestors_.back().end))
        throw Error(ErrorCode::usage, fmt::format("timeline {} cannot leave timeline {} at {}", timeline,
                                                  timeline_, end.str()));
    TimelineHistory child = *this;
    child.ancestors_.push_back({timeline_, end, on_one_line(reason)});
    child.timeline_ = timeline;
    return child;
}

bool TimelineHistory::contains(TimelineId timeline) const { return part_of(timeline).has_value(); }

std::optional<TimelineHistory::Part> TimelineHistory::part_of(TimelineId timeline) const {
    Lsn begin;
    for (const Ancestor& ancestor : ancestors_) {
        if (ancestor.timeline == timeline) return Part{begin, ancestor.end};
        begin = ancestor.end;
    }
    if (timeline == timeline_) return Part{begin, std::nullopt};
    return std::nullopt;
}

TimelineId TimelineHistory::timeline_at(Lsn position) const {
    const auto holder = std::ranges::find_if(ancestors_, [&](const Ancestor& a) { return position < a.end; });
    return holder == ancestors_.end() ? timeline_ : holder->timeline;
}

std::optional<TimelineHistory::Fork> TimelineHistory::fork_from(const TimelineHistory& other) const {
    std::optional<Fork> fork;
    // Both begin with the same timelines; from the first that differs, in number or in its end, they are
    // apart.
    for (std::size_t i = 0; i <= std::min(ancestors_.size(), other.ancestors_.size()); ++i) {
        const bool mine_ends = i < ancestors_.size();
        const bool other_ends = i < other.ancestors_.size();
        const TimelineId mine = mine_ends ? ancestors_[i].timeline : timeline_;
        if (mine != (other_ends ? other.ancestors_[i].timeline : other.timeline_)) return fork;
        std::optional<Lsn> end;
        if (mine_ends) end = ancestors_[i].end;
        if (other_ends) end = end ? std::min(*end, other.ancestors_[i].end) : other.ancestors_[i].end;
        fork = Fork{mine, end};
        if (!mine_ends || !other_ends || ancestors_[i].end != other.ancestors_[i].end) return fork;
    }
    return fork;
}

} // namespace holdfast::postgres
