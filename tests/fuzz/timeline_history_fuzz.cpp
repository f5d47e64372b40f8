// Reading a history file: what is taken is written and read to the same, and answers any question.
#include "base/bytes.h"
#include "base/error.h"
#include "postgres/wal/timeline_history.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    using namespace holdfast::postgres;
    try {
        const TimelineHistory history = TimelineHistory::parse(1000, as_text({data, size}));
        if (TimelineHistory::parse(1000, history.text()) != history) std::abort();
        for (const auto& ancestor : history.ancestors()) {
            const auto part = history.part_of(ancestor.timeline);
            if (!part || part->end != ancestor.end) std::abort();
            if (part->begin < ancestor.end && history.timeline_at(part->begin) != ancestor.timeline)
                std::abort();
        }
        if (!history.fork_from(history) || history.fork_from(history)->end) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) std::abort();
    }
    return 0;
}
