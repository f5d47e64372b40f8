// The ancestry of a timeline, as its history file tells it: "0000000A.history" in pg_wal and in archives, one
// line for each ancestor, oldest first: its number, the position at which it was left, why (PostgreSQL's
// src/backend/access/transam/timeline.c). Timeline 1 has no file.
#pragma once

#include "postgres/wal/lsn.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

class TimelineHistory {
  public:
    struct Ancestor {
        TimelineId timeline = 0;
        Lsn end;            // the log of this timeline counts up to here, and goes on in the next
        std::string reason; // free text of one line

        bool operator==(const Ancestor&) const = default;
    };

    // A timeline without ancestors; throws Error(usage) for timeline 0.
    explicit TimelineHistory(TimelineId timeline);

    // What the history file of `timeline` says. Throws Error(corrupt) on a line that PostgreSQL would refuse,
    // or when timelines or positions do not rise.
    static TimelineHistory parse(TimelineId timeline, std::string_view text);

    TimelineId timeline() const { return timeline_; }
    // Oldest first, without the timeline itself.
    std::span<const Ancestor> ancestors() const { return ancestors_; }
    // The file's text. parse(timeline(), text()) is equal to this.
    std::string text() const;

    // The history of a timeline that leaves this one at `end`; throws Error(usage) unless its number is
    // higher. A reason's line breaks become spaces.
    TimelineHistory branch(TimelineId timeline, Lsn end, std::string_view reason) const;

    // Itself, or an ancestor.
    bool contains(TimelineId timeline) const;
    // Where the part of `timeline` that belongs to this history begins (0 for the oldest), and where it ends
    // (empty for the timeline itself). Empty when it is no part.
    struct Part {
        Lsn begin;
        std::optional<Lsn> end;
    };
    std::optional<Part> part_of(TimelineId timeline) const;
    // The timeline that holds the byte at `position`. At a switch point that is the newer one.
    TimelineId timeline_at(Lsn position) const;

    // The last point that two histories share: up to `end` their logs are the same bytes, and `timeline` is
    // the last timeline they have in common. Empty end: they are the same. Empty when they share nothing.
    struct Fork {
        TimelineId timeline = 0;
        std::optional<Lsn> end;
    };
    std::optional<Fork> fork_from(const TimelineHistory& other) const;

    bool operator==(const TimelineHistory&) const = default;

  private:
    TimelineId timeline_;
    std::vector<Ancestor> ancestors_;
};

} // namespace holdfast::postgres
