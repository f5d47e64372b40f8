#include "service/audit_heads.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string mark_of(const std::string& first_digest) { return "trail " + first_digest; }

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
    const std::string mark = mark_of(first_digest);
    std::vector<AuditHead> heads;
    for (const Statement& statement : statements) {
        if (statement.type != StatementType::mark || statement.source != audit_source ||
            statement.name != mark || !statement.value)
            continue;
        if (auto head = head_of(*statement.value)) heads.push_back(std::move(*head));
    }
    return heads;
}

} // namespace holdfast
