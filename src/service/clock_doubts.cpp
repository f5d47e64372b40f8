#include "service/clock_doubts.h"

#include "base/error.h"
#include "service/annotate.h"
#include "service/clock_memory.h"

#include <array>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::string_view mark = "clock ";

std::string machine_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "?";
}

StatedClockDoubt doubt_of(const Statement& statement) {
    StatedClockDoubt doubt{.name = statement.name, .shown = Timestamp::min(), .why = *statement.value};
    const std::size_t end = doubt.why.find(' ');
    try {
        doubt.shown = from_rfc3339(doubt.why.substr(0, end));
        doubt.why.erase(0, end == std::string::npos ? end : end + 1);
    } catch (const Error&) {
        // Then it is about any clock.
    }
    return doubt;
}

void put_mark(Repository& repository, const StatementList& list, const std::string& name,
              std::optional<std::string> value) {
    Statement statement;
    statement.source = clock_source;
    statement.type = StatementType::mark;
    statement.time = behind_all(repository, list);
    statement.name = name;
    statement.value = std::move(value);
    put_statement(repository.context(), std::move(statement));
}

// Of each name the one that counts.
std::map<std::string, const Statement*> last_marks(Repository& repository, const StatementList& list) {
    std::map<std::string, const Statement*> last;
    for (const Statement& statement : list.statements) {
        if (statement.type != StatementType::mark || statement.source != clock_source ||
            !statement.name.starts_with(mark))
            continue;
        if (!repository.trust().may_write(statement.id.slot, ObjectKind::forget, RunId{})) continue;
        const Statement*& known = last[statement.name];
        if (known == nullptr || std::tie(known->time, known->id) < std::tie(statement.time, statement.id))
            known = &statement;
    }
    return last;
}

} // namespace

std::vector<StatedClockDoubt> stated_clock_doubts(Repository& repository, const StatementList& list) {
    std::vector<StatedClockDoubt> standing;
    for (const auto& [name, statement] : last_marks(repository, list))
        if (statement->value) standing.push_back(doubt_of(*statement));
    return standing;
}

bool is_ended(Repository& repository, const StatementList& list, const std::string& name) {
    // What cannot be read may have stated it again.
    if (!list.damaged.empty() || list.unreadable > 0) return false;
    const auto last = last_marks(repository, list);
    const auto found = last.find(name);
    return found != last.end() && !found->second->value;
}

std::string clock_doubt_name(Repository& repository) {
    return fmt::format("{}{}", mark, uptime_of(repository.clock()).boot);
}

void state_clock_doubt(Repository& repository, const StatementList& list, const std::string& name,
                       const std::string& why) {
    put_mark(repository, list, name,
             fmt::format("{} found on the machine '{}': {}", to_rfc3339(repository.clock().now()),
                         machine_name(), why));
}

void end_clock_doubt(Repository& repository, const StatementList& list, const std::string& name) {
    put_mark(repository, list, name, std::nullopt);
}

} // namespace holdfast
