#include "base/log.h"
#include "base/random.h"

#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

constexpr std::string_view time_text = "2026-11-20T23:54:21Z";

std::string text_line(std::initializer_list<LogField> fields) {
    return render_log_line(LogFormat::text, time_text, LogLevel::info, "event", fields);
}

nlohmann::json json_line(std::initializer_list<LogField> fields) {
    return nlohmann::json::parse(
        render_log_line(LogFormat::json, time_text, LogLevel::warning, "event", fields));
}

TEST(LogLine, TextHasTimeLevelEventAndFields) {
    EXPECT_EQ(text_line({{"path", "/a b"}, {"bytes", std::uint64_t{12}}, {"ok", true}, {"rate", 0.5}}),
              "2026-11-20T23:54:21Z info    event path=\"/a b\" bytes=12 ok=true rate=0.5");
}

TEST(LogLine, JsonIsAnObjectWithTypedValues) {
    const auto json =
        json_line({{"path", "/a"}, {"big", UINT64_MAX}, {"low", INT64_MIN}, {"ok", false}, {"rate", 0.25}});
    EXPECT_EQ(json.at("time"), time_text);
    EXPECT_EQ(json.at("level"), "warning");
    EXPECT_EQ(json.at("event"), "event");
    EXPECT_EQ(json.at("path"), "/a");
    EXPECT_EQ(json.at("big").get<std::uint64_t>(), UINT64_MAX);
    EXPECT_EQ(json.at("low").get<std::int64_t>(), INT64_MIN);
    EXPECT_EQ(json.at("ok"), false);
    EXPECT_EQ(json.at("rate"), 0.25);
}

TEST(LogLine, NumbersThatJsonCannotSayAreNull) {
    const auto json = json_line(
        {{"a", std::numeric_limits<double>::infinity()}, {"b", std::numeric_limits<double>::quiet_NaN()}});
    EXPECT_TRUE(json.at("a").is_null());
    EXPECT_TRUE(json.at("b").is_null());
    EXPECT_EQ(text_line({{"a", std::numeric_limits<double>::infinity()}}),
              "2026-11-20T23:54:21Z info    event a=inf");
}

TEST(LogLine, AFileNameCannotForgeALineOrSteerATerminal) {
    const std::string line = text_line({{"path", "x\n2026 error forged\r\x1b[2J\x7f\""}});
    EXPECT_EQ(
        line,
        "2026-11-20T23:54:21Z info    event path=\"x\\u000a2026 error forged\\u000d\\u001b[2J\\u007f\\\"\"");
    // The same by characters beyond ASCII: CSI as one character, a line separator, writing turned round.
    EXPECT_EQ(text_line({{"path", "\u009b2J\u2028\u202e"}}),
              "2026-11-20T23:54:21Z info    event path=\"\\u009b2J\\u2028\\u202e\"");
}

TEST(LogLine, TextInOtherScriptsStaysReadable) {
    EXPECT_EQ(json_line({{"path", "Übung/文書/😀"}}).at("path"), "Übung/文書/😀");
    EXPECT_NE(text_line({{"path", "Übung/文書/😀"}}).find("Übung/文書/😀"), std::string::npos);
}

TEST(LogLine, BytesThatAreNotUtf8AreNamed) {
    EXPECT_EQ(json_line({{"path", "caf\xe9"}}).at("path"), "caf\\xe9");
    EXPECT_EQ(json_line({{"path", "\xc0\x80"}}).at("path"), "\\xc0\\x80");          // too long a form
    EXPECT_EQ(json_line({{"path", "\xed\xa0\x80"}}).at("path"), "\\xed\\xa0\\x80"); // a surrogate
    EXPECT_EQ(json_line({{"path", "\xf4\x90\x80\x80"}}).at("path"), "\\xf4\\x90\\x80\\x80"); // above U+10FFFF
    EXPECT_EQ(json_line({{"path", "\xe6\x96"}}).at("path"), "\\xe6\\x96");                   // cut short
}

TEST(LogLine, AnyBytesGiveOneLineOfParseableJson) {
    SeededRandom random(9);
    for (int i = 0; i < 5000; ++i) {
        Bytes bytes(random.below(30));
        random.fill(bytes);
        const std::string line = render_log_line(LogFormat::json, time_text, LogLevel::error, "event",
                                                 {{"value", std::string(as_text(bytes))}});
        EXPECT_EQ(line.find('\n'), std::string::npos);
        EXPECT_TRUE(nlohmann::json::accept(line)) << to_hex(bytes);
    }
}

TEST(StandardErrorLogger, DropsWhatIsBelowItsMinimumAndEndsLines) {
    StandardErrorLogger logger(LogLevel::warning, LogFormat::json);
    testing::internal::CaptureStderr();
    logger.info("quiet");
    logger.warning("loud", {{"n", std::int64_t{1}}});
    logger.error("louder");
    const std::string output = testing::internal::GetCapturedStderr();
    EXPECT_EQ(output.find("quiet"), std::string::npos);
    ASSERT_FALSE(output.empty());
    EXPECT_EQ(output.back(), '\n');
    EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 2);
    EXPECT_EQ(nlohmann::json::parse(output.substr(0, output.find('\n'))).at("n"), 1);
}

TEST(SilentLogger, SaysNothing) {
    testing::internal::CaptureStderr();
    silent_logger().error("nobody hears", {{"a", true}});
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
} // namespace holdfast
