#include "postgres/server/server_error.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

struct Rule {
    std::string_view beginning; // of the SQLSTATE; the first that fits decides
    ErrorCode code;
    bool retryable;
};

constexpr std::array rules{
    Rule{"08P01", ErrorCode::incompatible, false}, // protocol violation
    Rule{"08", ErrorCode::unavailable, true},      // connection exceptions
    Rule{"57P", ErrorCode::unavailable, true},     // starting up, shutting down, crashed, idle for too long
    Rule{"53300", ErrorCode::unavailable, true},   // too many connections
    Rule{"53100", ErrorCode::no_space, false},     // disk full
    Rule{"53", ErrorCode::unavailable, true},      // other resources, such as memory
    Rule{"57014", ErrorCode::timed_out, true},     // cancelled, which without our asking is a time limit
    Rule{"55P03", ErrorCode::unavailable, true},   // lock not available
    Rule{"55006", ErrorCode::unavailable, true},   // object in use, such as a slot
    Rule{"40", ErrorCode::unavailable, true},      // serialization failure, deadlock, recovery conflict
    Rule{"28", ErrorCode::access_denied, false},
    Rule{"42501", ErrorCode::access_denied, false},
    Rule{"3D000", ErrorCode::not_found, false}, // no such database
    Rule{"42704", ErrorCode::not_found, false}, // no such object
    Rule{"42P01", ErrorCode::not_found, false}, // no such table
    Rule{"58P01", ErrorCode::not_found, false}, // no such file
    Rule{"42710", ErrorCode::already_exists, false},
    Rule{"42P07", ErrorCode::already_exists, false},
    Rule{"23505", ErrorCode::already_exists, false},
    Rule{"25006", ErrorCode::read_only, false},
    Rule{"42883", ErrorCode::unsupported, false}, // no such function
    Rule{"0A", ErrorCode::unsupported, false},
    Rule{"55", ErrorCode::unsupported, false}, // not in the state that this needs
    Rule{"22", ErrorCode::usage, false},
    Rule{"58", ErrorCode::io, true},
    Rule{"XX001", ErrorCode::corrupt, false},
    Rule{"XX002", ErrorCode::corrupt, false},
};

std::string message_of(std::string_view what, const ServerMessage& said) {
    std::string in_brackets = said.detail;
    if (!said.sqlstate.empty()) {
        if (!in_brackets.empty()) in_brackets += "; ";
        in_brackets += "SQLSTATE " + said.sqlstate;
    }
    std::string message = what.empty() ? said.text : fmt::format("{}: {}", what, said.text);
    if (!in_brackets.empty()) message += fmt::format(" ({})", in_brackets);
    std::ranges::replace(message, '\n', ' ');
    return message;
}

std::string hint_of(const ServerMessage& said) {
    if (!said.hint.empty()) return said.hint;
    const std::string_view state = said.sqlstate;
    if (state.empty()) return "see that the server runs and can be reached; its log may say more";
    if (state == "53300")
        return "raise max_connections (or max_wal_senders for replication), or free some connections";
    if (state == "57P03") return "wait until the server accepts connections";
    if (state.starts_with("28")) return "see pg_hba.conf, and the user and password of the connection";
    if (state == "42501") return "grant the role what it lacks: `holdfast doctor` prints the SQL";
    if (state == "53100") return "free space on the server";
    return {};
}

bool is_sqlstate(std::string_view text) {
    return text.size() == 5 && std::ranges::all_of(text, [](unsigned char c) {
               return std::isdigit(c) != 0 || std::isupper(c) != 0;
           });
}

} // namespace

ServerError::ServerError(std::string_view what, const ServerMessage& said)
    : Error(meaning_of_sqlstate(said.sqlstate).code, message_of(what, said), hint_of(said),
            meaning_of_sqlstate(said.sqlstate).retryable),
      sqlstate_(said.sqlstate) {}

SqlstateMeaning meaning_of_sqlstate(std::string_view sqlstate) {
    if (sqlstate.empty()) return {ErrorCode::unavailable, true};
    const auto rule =
        std::ranges::find_if(rules, [&](const Rule& one) { return sqlstate.starts_with(one.beginning); });
    if (rule == rules.end()) return {ErrorCode::internal, false};
    return {rule->code, rule->retryable};
}

// Verbose: "connection to server … failed: FATAL:  57P03: the database system is starting up\nLOCATION: …\n".
// With several hosts there are several of these, and the last attempt is what counts. The word for FATAL is
// in the server's language.
ServerMessage parse_connection_failure(std::string_view text) {
    ServerMessage said;
    std::string kept;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin, end - begin);
        begin = end + 1;
        if (line.empty()) continue;
        const std::size_t location = line.find(":  ");
        if (location != std::string_view::npos && line.find(", ", location) != std::string_view::npos &&
            line.find(".c:", location) != std::string_view::npos) {
            continue; // where in PostgreSQL's source
        }
        std::string shown(line);
        for (std::size_t colon = line.find(":  "); colon != std::string_view::npos;
             colon = line.find(":  ", colon + 1)) {
            const std::string_view code = line.substr(colon + 3, 5);
            if (!is_sqlstate(code) || line.substr(std::min(colon + 8, line.size())).substr(0, 2) != ": ")
                continue;
            said.sqlstate = code;
            shown = fmt::format("{}: {}", line.substr(0, colon), line.substr(colon + 10));
            break;
        }
        if (!kept.empty()) kept += "; ";
        kept += shown;
    }
    said.text = kept.empty() ? "the connection failed" : kept;
    return said;
}

} // namespace holdfast::postgres
