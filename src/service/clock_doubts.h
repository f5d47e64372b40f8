// Clocks that leapt, as the repository knows of them: whoever uses it sees it, with whatever cache, in
// whatever container.
//
// Marks on a source of their own: "clock <start of the machine>" is "<time> <what was found>", the time as
// the clock showed it; or there is none any more. They count from those alone who may forget snapshots.
#pragma once

#include "repository/protocol/statement.h"
#include "repository/repository.h"

#include <string>
#include <vector>

namespace holdfast {

inline constexpr const char* clock_source = "holdfast clock";

struct StatedClockDoubt {
    std::string name;
    Timestamp shown{}; // by the clock that leapt
    std::string why;
};
// That stand. One may be about the clock of this machine when that shows its time, or a later one.
std::vector<StatedClockDoubt> stated_clock_doubts(Repository& repository, const StatementList& list);
// Whether somebody has said that what was stated under this name is over.
bool is_ended(Repository& repository, const StatementList& list, const std::string& name);

// Under which name a doubt of this start of the machine is stated.
std::string clock_doubt_name(Repository& repository);
// Each throws what put_statement() throws.
void state_clock_doubt(Repository& repository, const StatementList& list, const std::string& name,
                       const std::string& why);
void end_clock_doubt(Repository& repository, const StatementList& list, const std::string& name);

} // namespace holdfast
