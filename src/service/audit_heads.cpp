#include "service/audit_heads.h"

#include <charconv>

#include <fmt/format.h>

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

std::vector<AuditHead> kept_audit_heads(const std::vector<Statement>& statements,
                                        const std::string& first_digest) {
    const std::string own = mark_of(first_digest);
    std::vector<AuditHead> heads;
    for (const Statement& statement : statements) {
        if (statement.type != StatementType::mark || statement.source != audit_source ||
            statement.name != own || !statement.value)
            continue;
        if (auto head = head_of(*statement.value)) heads.push_back(std::move(*head));
    }
    return heads;
}

std::set<std::string> other_trails(const std::vector<Statement>& statements,
                                   const std::string& first_digest) {
    std::set<std::string> trails;
    for (const Statement& statement : statements) {
        if (statement.type != StatementType::mark || statement.source != audit_source ||
            !statement.name.starts_with(mark))
            continue;
        if (statement.name != mark_of(first_digest)) trails.insert(statement.name.substr(mark.size()));
    }
    return trails;
}

} // namespace holdfast
