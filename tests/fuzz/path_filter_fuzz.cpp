// Feeds arbitrary pattern files and paths to the path filter: it must refuse or answer, and its two ways of
// answering must agree. The input is the pattern file, a zero byte, and the path.
#include "base/bytes.h"
#include "base/error.h"
#include "documents/path_filter.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

// A directory that the walk does not enter must not hold anything that is included.
void check(const holdfast::PathFilter& filter, std::string_view path) {
    holdfast::PathFilter::Cursor cursor = filter.start("/source/root");
    bool reachable = true;
    bool excluded = false;
    std::size_t end = 0;
    while (end < path.size()) {
        const std::size_t start = path.find_first_not_of('/', end);
        if (start == std::string_view::npos) break;
        end = path.find('/', start);
        if (end == std::string_view::npos) end = path.size();
        const std::string_view name = path.substr(start, end - start);
        const holdfast::PathFilter::Verdict verdict = filter.judge(cursor, name, true);
        if (!reachable && !verdict.excluded) std::abort();
        reachable = reachable && verdict.descend;
        excluded = verdict.excluded;
        cursor = filter.enter(cursor, name);
    }
    if (filter.excludes("/source/root", path, true) != excluded) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 4096) return 0; // longer ones only take longer
    const std::string_view input = holdfast::as_text({data, size});
    const std::size_t middle = input.find('\0');
    if (middle == std::string_view::npos) return 0;
    holdfast::PathFilter filter;
    try {
        filter.exclude_lines(input.substr(0, middle), "patterns");
    } catch (const holdfast::Error& error) {
        if (error.code() != holdfast::ErrorCode::usage) std::abort();
    }
    check(filter, input.substr(middle + 1));
    return 0;
}
