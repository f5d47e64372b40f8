// The bodies of the protocol's objects: whatever is refused is refused as an Error, and what is accepted is
// written again as it was. The first byte chooses the decoder.
#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/snapshot.h"
#include "repository/protocol/statement.h"
#include "repository/protocol/verdict.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace holdfast;

void expect(bool condition) {
    if (!condition) std::abort();
}

// Binary forms have one encoding; JSON may be written in many ways, but what it means survives being written
// again.
void decode(std::uint8_t kind, ByteView body) {
    switch (kind % 6) {
    case 0: {
        const Snapshot snapshot = decode_snapshot(body, RunId{});
        expect(decode_snapshot(encode_snapshot(snapshot), RunId{}) == snapshot);
        break;
    }
    case 1:
        expect(std::ranges::equal(encode_condemned_list(decode_condemned_list(body)), body));
        break;
    case 2:
        expect(std::ranges::equal(encode_verdict(decode_verdict(body)), body));
        break;
    case 3: {
        const StatementId id{SlotId{}, static_cast<std::uint32_t>(kind >= 128 ? 1 : 0)};
        const Statement statement = decode_statement(body, id);
        expect(decode_statement(encode_statement(statement), id) == statement);
        break;
    }
    case 4: {
        std::vector<PackId> targets;
        const std::vector<std::string> names = decode_moved(body);
        for (const std::string& name : names) targets.push_back(PackId::from_name(name).value());
        expect(decode_moved(encode_moved(targets)) == names);
        break;
    }
    case 5: {
        const IntentBody intent = decode_intent(body);
        expect(decode_intent(encode_intent(intent)) == intent);
        break;
    }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        decode(data[0], ByteView(data, size).subspan(1));
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::incompatible);
    }
    return 0;
}
