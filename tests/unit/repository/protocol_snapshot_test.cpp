#include "base/error.h"
#include "repository/protocol/snapshot.h"
#include "repository/protocol/text_form.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

RunId run(Byte value) {
    RunId id;
    id.bytes.fill(value);
    return id;
}

Snapshot sample() {
    Snapshot snapshot;
    snapshot.id = run(1);
    snapshot.source = "home";
    snapshot.kind = "documents";
    snapshot.sequence = 7;
    snapshot.parent = run(2);
    snapshot.host = "büro";
    snapshot.domain = "default";
    snapshot.paths = {"/home", "/srv/\xff\xfe", "hex:odd"};
    snapshot.time = Timestamp(std::chrono::nanoseconds(1'700'000'000'123'456'789));
    snapshot.end = snapshot.time + std::chrono::seconds(5);
    snapshot.root.id.bytes.fill(9);
    snapshot.root.location = {{{run(1), 3, metadata_pack, 0}, 4}, 10, 200};
    snapshot.tags = {{"a", "b"}, {"\x80", ""}};
    snapshot.state = SnapshotState::partial;
    snapshot.totals = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, UINT64_MAX};
    snapshot.compression = "zstd 3";
    snapshot.program = "holdfast 1";
    return snapshot;
}

Snapshot decode_text(std::string text) { return decode_snapshot(as_bytes(text), run(1)); }

// The text of `snapshot` with the first `from` replaced.
std::string changed(const std::string& from, const std::string& to) {
    std::string text(as_text(encode_snapshot(sample())));
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

ErrorCode refused(const std::string& text) {
    try {
        decode_text(text);
    } catch (const Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "was accepted: " << text;
    return ErrorCode::internal;
}

TEST(Snapshot, SurvivesBeingWritten) {
    EXPECT_EQ(decode_snapshot(encode_snapshot(sample()), run(1)), sample());
    Snapshot first = sample();
    first.parent.reset();
    first.log = SnapshotLog{run(5), {3, 1000, UINT64_MAX}};
    EXPECT_EQ(decode_snapshot(encode_snapshot(first), run(1)), first);
}

TEST(Snapshot, IgnoresWhatItDoesNotKnowUnlessItMust) {
    EXPECT_EQ(decode_text(changed("\"kind\"", "\"zebra\":1,\"kind\"")), sample());
    EXPECT_EQ(refused(changed("\"kind\"", "\"must-zebra\":1,\"kind\"")), ErrorCode::incompatible);
}

TEST(Snapshot, RefusesWhatIsMalformed) {
    EXPECT_EQ(refused("{}"), ErrorCode::corrupt);
    EXPECT_EQ(refused("[]"), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"sequence\":7", "\"sequence\":0")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"sequence\":7", "\"sequence\":-7")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("packs/m00/", "packs/d00/")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"length\":200", "\"length\":0")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"length\":200", "\"length\":2097150")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"partial\"", "\"perfect\"")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"source\":\"home\"", "\"source\":\"\"")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("2023-", "x023-")), ErrorCode::corrupt);
    // Hexadecimal where plain text would have done: one text has one form.
    EXPECT_EQ(refused(changed("\"/home\"", "\"hex:2f\"")), ErrorCode::corrupt);
    EXPECT_EQ(refused(changed("\"/home\"", "\"hex:FF\"")), ErrorCode::corrupt);
}

TEST(Snapshot, NewestIsBySequenceThenTimeThenId) {
    Snapshot a = sample();
    Snapshot b = sample();
    b.time -= std::chrono::hours(1);
    EXPECT_TRUE(newer(a, b));
    b.sequence = 8;
    EXPECT_TRUE(newer(b, a));
    b = a;
    EXPECT_FALSE(newer(a, b));
    b.id = run(2);
    EXPECT_TRUE(newer(b, a));
}

TEST(TextForm, Utf8IsKeptAndAllElseIsHexadecimal) {
    for (const std::string_view text : {"", "plain", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x90\x98"}) {
        EXPECT_EQ(to_text_form(text), text);
    }
    // A lone continuation, overlong, a surrogate, beyond Unicode, cut short.
    for (const std::string_view text :
         {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "hex:"}) {
        EXPECT_EQ(to_text_form(text), "hex:" + to_hex(as_bytes(text)));
        EXPECT_EQ(from_text_form(to_text_form(text)), text);
    }
    EXPECT_THROW(from_text_form("B\xc3o"), Error);
    EXPECT_THROW(from_text_form("hex:8"), Error);
    EXPECT_THROW(from_text_form("hex:zz"), Error);
}

} // namespace
} // namespace holdfast
