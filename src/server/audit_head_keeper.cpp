#include "server/audit_head_keeper.h"

#include "base/error.h"
#include "service/audit_heads.h"

namespace holdfast {

namespace {

// Each head is a statement that stays, and is read with all others.
constexpr Duration between_heads = std::chrono::hours(24);
constexpr Duration again = std::chrono::minutes(10);

} // namespace

void AuditHeadKeeper::keep(Repository& repository) {
    if (kept_ && clock_.steady() - *kept_ < between_heads) return;
    kept_ = clock_.steady();
    try {
        const AuditHead head = audit_.head();
        if (head.number == 0 || head == head_) return;
        keep_audit_head(repository, audit_.first_digest(), head);
        head_ = head;
    } catch (const Error& error) {
        // A repository that takes nothing now is told of by what fails for it.
        kept_ = clock_.steady() - between_heads + again;
        logger_.warning("the head of the audit trail was not kept in the repository",
                        {{"reason", error.message()}});
    }
}

} // namespace holdfast
