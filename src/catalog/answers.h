// Answers to requests that carry a key of their sender's (Idempotency-Key), to be given again when the same
// request comes again.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"

#include <optional>
#include <string>

namespace holdfast {

enum class AnswerState {
    none,      // nothing has been answered under this key
    kept,      // this request has been
    different, // another request has
};
struct KeptAnswer {
    AnswerState state = AnswerState::none;
    std::string answer; // when kept
};

// One request of one token.
struct AnswerKey {
    std::string token;   // its id
    std::string secret;  // the answer is kept encrypted under it
    std::string key;     // as the client chose it
    std::string request; // a digest of all that makes the request what it is
};

// Kept for 24 hours. Thread-safe; several servers may share the catalog. The arguments outlive it.
class Answers {
  public:
    Answers(Catalog& catalog, Clock& clock, Random& random)
        : catalog_(catalog), clock_(clock), random_(random) {}

    KeptAnswer find(const AnswerKey& key);
    // Within the transaction that does what is asked for: takes the key. Of two that come together the second
    // waits for the end of the first one's transaction. Only where this says `none` may it be done; then
    // finish() must be called in the same transaction.
    KeptAnswer begin(Database& database, const AnswerKey& key);
    void finish(Database& database, const AnswerKey& key, const std::string& answer);

  private:
    KeptAnswer kept(Database& database, const AnswerKey& key);

    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
};

} // namespace holdfast
