#include "catalog/answers.h"

#include "crypto/sealed_text.h"

namespace holdfast {

namespace {

constexpr auto kept_for = std::chrono::hours(24);
constexpr std::string_view purpose = "holdfast answer";
// Old ones are removed a few at a time, by whoever comes.
constexpr const char* forget_some =
    "DELETE FROM answers WHERE created <= $1 AND key IN (SELECT key FROM answers WHERE created <= $1 "
    "ORDER BY created LIMIT 20)";

} // namespace

KeptAnswer Answers::kept(Database& database, const AnswerKey& key) {
    const auto rows =
        database.query("SELECT request, answer FROM answers WHERE token = $1 AND key = $2 AND created > $3",
                       {sql(key.token), sql(key.key), sql(clock_.now() - kept_for)});
    if (rows.empty()) return {};
    if (rows.front().text(0) != key.request) return {.state = AnswerState::different, .answer = {}};
    auto answer = open_text(key.secret, purpose, rows.front().text(1));
    // Of another secret: the same key under a token's id that was used again, which does not happen.
    if (!answer) return {.state = AnswerState::different, .answer = {}};
    return {.state = AnswerState::kept, .answer = std::move(*answer)};
}

KeptAnswer Answers::find(const AnswerKey& key) {
    return catalog_.with([&](Database& database) { return kept(database, key); });
}

KeptAnswer Answers::begin(Database& database, const AnswerKey& key) {
    const Timestamp now = clock_.now();
    database.query("DELETE FROM answers WHERE token = $1 AND key = $2 AND created <= $3",
                   {sql(key.token), sql(key.key), sql(now - kept_for)});
    database.query(forget_some, {sql(now - kept_for)});
    const auto taken = database.query("INSERT INTO answers (token, key, request, answer, created) "
                                      "VALUES ($1, $2, $3, '', $4) ON CONFLICT DO NOTHING RETURNING token",
                                      {sql(key.token), sql(key.key), sql(key.request), sql(now)});
    return taken.empty() ? kept(database, key) : KeptAnswer{};
}

void Answers::finish(Database& database, const AnswerKey& key, const std::string& answer) {
    database.query("UPDATE answers SET answer = $3 WHERE token = $1 AND key = $2",
                   {sql(key.token), sql(key.key), sql(seal_text(key.secret, purpose, answer, random_))});
}

} // namespace holdfast
