#include "service/audit_heads.h"

#include <charconv>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr std::string_view mark = "trail ";

std::string mark_of(const std::string& first_digest) { return std::string(mark) + first_digest; }

// "NUMBER DIGEST".
std::optional<AuditHead> head_of(const std::string& text) {
    AuditHead head;
    const char* end = text.data() + text.size();
    const auto [behind, error] = std::from_chars(text.data(), end, head.number);
    if (error != std::errc() || behind == end || *behind != ' ') return std::nullopt;
    head.digest.assign(behind + 1, end);
    return head;
}

} // namespace

void keep_audit_head(Repository& repository, const std::string& first_digest, const AuditHead& head) {
    Statement statement;
    statement.source = audit_source;
    statement.type = StatementType::mark;
    statement.time = repository.clock().now();
    statement.name = mark_of(first_digest);
    statement.value = fmt::format("{} {}", head.number, head.digest);
    put_statement(repository.context(), std::move(statement));
}

nlohmann::json verify_trail(Audit& audit, const std::vector<Statement>& statements) {
    const std::string own = mark_of(audit.first_digest());
    std::vector<AuditHead> heads;
    std::set<std::string> others;
    for (const Statement& statement : statements) {
        if (statement.type != StatementType::mark || statement.source != audit_source ||
            !statement.name.starts_with(mark))
            continue;
        if (statement.name != own) {
            others.insert(statement.name.substr(mark.size()));
        } else if (auto head = head_of(statement.value.value_or(""))) {
            heads.push_back(std::move(*head));
        }
    }
    const AuditCheck check = audit.verify(heads);
    return {{"intact", check.problems.empty()},
            {"entries", check.entries},
            {"head", {{"number", check.head.number}, {"digest", check.head.digest}}},
            {"heads_compared", heads.size()},
            {"other_trails", others},
            {"problems", check.problems}};
}

} // namespace holdfast
