#include "api/http/target.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Target, IsTakenApart) {
    const auto target = parse_target("/v1/operations/op%2D1?state=a%20b+c&limit=10&&flag&x=");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->path, "/v1/operations/op%2D1");
    EXPECT_THAT(target->segments, ElementsAre("v1", "operations", "op-1"));
    EXPECT_THAT(target->query,
                ElementsAre(Pair("state", "a b c"), Pair("limit", "10"), Pair("flag", ""), Pair("x", "")));
    EXPECT_EQ(target->authority, std::nullopt);
}

TEST(Target, MayEndWithASlash) {
    EXPECT_THAT(parse_target("/v1/tokens/")->segments, ElementsAre("v1", "tokens"));
    EXPECT_THAT(parse_target("/")->segments, IsEmpty());
    EXPECT_THAT(parse_target("*")->segments, IsEmpty());
}

TEST(Target, MayBeAbsolute) {
    const auto target = parse_target("HTTPS://host:7420/v1?a=b");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->authority, "host:7420");
    EXPECT_EQ(target->path, "/v1");
    EXPECT_THAT(target->query, ElementsAre(Pair("a", "b")));
    EXPECT_EQ(parse_target("http://host")->path, "/");
    EXPECT_FALSE(parse_target("http:///v1"));
    EXPECT_FALSE(parse_target("https://host?a=b"));
    EXPECT_FALSE(parse_target("ftp://host/v1"));
}

TEST(Target, IsRefusedWhenTwoReadersMightDisagree) {
    for (const char* text : {"", "v1", "/a//b", "//a", "/%", "/%2", "/%zz", "/a%2Fb", "/a%2fb", "/a%5Cb",
                             "/a\\b", "/.", "/..", "/a/../b", "/%2e%2e/b", "/%2E", "/a%00b", "/a%0Ab", "/%7F",
                             "/%C2%85", "/a#b", "/?a=%", "/?%0d=1", "/?a=%00",
                             // Overlong, cut, a surrogate, beyond Unicode, no UTF-8 at all.
                             "/%C0%AF", "/%E0%80%AF", "/%F0%80%80%AF", "/%E2%82", "/%ED%A0%80",
                             "/%F4%90%80%80", "/%FF", "/?a=%C0%80"})
        EXPECT_FALSE(parse_target(text)) << text;
    std::string many = "/?";
    for (int i = 0; i < 101; ++i) many += "a=1&";
    EXPECT_FALSE(parse_target(many));
}

TEST(Target, KeepsWhatIsBeyondAscii) {
    EXPECT_THAT(parse_target("/%C3%A4/%E2%82%AC/%F0%9F%98%80")->segments,
                ElementsAre("\u00e4", "\u20ac", "\U0001F600"));
}

TEST(Target, EncodingIsUndoneByDecoding) {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    EXPECT_EQ(percent_decode(percent_encode(all), true), all);
    EXPECT_EQ(percent_encode("a b/\u00e4"), "a%20b%2F%C3%A4");
}

} // namespace
} // namespace holdfast::api
