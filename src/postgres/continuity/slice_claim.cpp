#include "postgres/continuity/slice_claim.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t plenty_of_memory = std::size_t{256} << 20;

std::string untrue_summary(ByteView summary, const RecordTally& found) {
    if (!found.changes) return summary.empty() ? "" : "it has a change map, and no records";
    if (summary.empty()) return "it has records, and no change map";
    if (std::ranges::equal(summary, found.changes->encode())) return {};
    try {
        BlockChanges said = BlockChanges::decode(summary, plenty_of_memory);
        if (said.from() != found.changes->from() || said.to() != found.changes->to()) {
            return fmt::format("its change map is of records from {} to {}, and they are from {} to {}",
                               said.from().str(), said.to().str(), found.changes->from().str(),
                               found.changes->to().str());
        }
        // What a map knows already makes it no larger.
        const Bytes before = said.encode();
        said.unite(*found.changes);
        return said.encode() == before ? "" : "its change map leaves out changes that its records made";
    } catch (const Error& error) {
        return "its change map cannot be read: " + error.message();
    }
}

} // namespace

std::string untrue_claim(const WalDetails& claim, ByteView summary, const RecordTally& found) {
    const WalDetails& is = found.details;
    std::string wrong;
    const auto compare = [&](const char* what, const std::string& said, const std::string& so) {
        if (wrong.empty() && said != so)
            wrong = fmt::format("it says that {} is {}, and it is {}", what, said, so);
    };
    const auto number = [](auto value) { return fmt::format("{}", value); };
    compare("its first record", claim.records_from.str(), is.records_from.str());
    compare("the end of its last record", claim.records_to.str(), is.records_to.str());
    compare("the record before its first", claim.previous.str(), is.previous.str());
    compare("its last record", claim.last.str(), is.last.str());
    compare("the number of its commits", number(claim.commits), number(is.commits));
    compare("the time of its first commit", number(claim.first_commit_us), number(is.first_commit_us));
    compare("the time of its last commit", number(claim.last_commit_us), number(is.last_commit_us));
    compare("the end of its last commit", claim.last_commit_end.str(), is.last_commit_end.str());
    if (wrong.empty() && claim.restore_points != is.restore_points)
        wrong = "it names other restore points than its records";
    return wrong.empty() ? untrue_summary(summary, found) : wrong;
}

bool may_be_left_out(const WalRecord& record, Lsn begin, const WalDetails& claim) {
    return record.start < begin && claim.records_from != record.start;
}

} // namespace holdfast::postgres
