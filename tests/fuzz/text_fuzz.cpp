// The small forms of text: times, numbers of bytes as digits, names that are not UTF-8. The first byte
// chooses.
#include "base/clock.h"
#include "base/error.h"
#include "documents/entry_name.h"
#include "repository/protocol/text_form.h"
#include "store/http_client.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

void expect(bool condition) {
    if (!condition) std::abort();
}

void read_retry_after(std::string_view text) {
    HttpResponse answer;
    answer.headers.emplace("retry-after", text);
    for (const Timestamp now : {Timestamp{}, from_rfc3339("2026-11-20T00:00:00Z")}) {
        expect(answer.retry_after_seconds(now) >= 0);
    }
    if (const auto date = parse_http_date(std::string(text))) {
        expect(from_rfc3339(to_rfc3339(*date)) == *date);
    }
}

void read_text(unsigned kind, std::string_view text) {
    switch (kind % 7) {
    case 0: {
        const Timestamp time = from_rfc3339(text);
        expect(from_rfc3339(to_rfc3339(time)) == time);
        return;
    }
    case 1:
        read_retry_after(text);
        return;
    case 2: {
        const Bytes bytes = from_hex(text);
        expect(from_hex(to_hex(bytes)) == bytes);
        return;
    }
    case 3:
        expect(to_base64(from_base64(text)) == text);
        return;
    case 4: {
        expect(from_text_form(to_text_form(text)) == text); // any bytes have a form
        expect(is_utf8(to_text_form(text)));
        expect(to_text_form(from_text_form(text)) == text); // and a form is the only one of its bytes
        return;
    }
    case 5:
        expect(is_utf8(printable(text)));
        return;
    default:
        check_entry_name(text);
        expect(!text.empty() && text != "." && text != ".." && text.find('/') == text.npos);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        read_text(data[0], as_text({data + 1, size - 1}));
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::usage || error.code() == ErrorCode::corrupt);
    }
    return 0;
}
