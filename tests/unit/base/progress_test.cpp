#include "base/progress.h"

#include <cmath>
#include <memory>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(FormatBytes, HasThreeDigitsAndBinaryUnits) {
    const std::pair<std::uint64_t, const char*> cases[] = {
        {0, "0 B"},
        {512, "512 B"},
        {999, "999 B"},
        {1000, "0.977 KiB"},
        {1024, "1.00 KiB"},
        {1536, "1.50 KiB"},
        {10'235, "10.0 KiB"},
        {102'390, "100 KiB"},
        {1'023'900, "0.976 MiB"},
        {1'288'490'189, "1.20 GiB"},
        {std::uint64_t{1} << 40, "1.00 TiB"},
        {std::uint64_t{1} << 50, "1.00 PiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    for (const auto& [bytes, text] : cases) EXPECT_EQ(format_bytes(bytes), text) << bytes;
}

TEST(FormatBytes, NeverShowsMoreThanThreeDigits) {
    for (double value = 1000; value < 1.8e19; value *= 1.0007) {
        const std::string text = format_bytes(static_cast<std::uint64_t>(value));
        std::string digits;
        for (const char c : text.substr(0, text.find(' '))) {
            if (c != '.' && !(c == '0' && digits.empty())) digits += c;
        }
        EXPECT_EQ(digits.size(), 3U) << text;
    }
}

TEST(FormatDuration, ChangesItsUnitsWithItsSize) {
    EXPECT_EQ(format_duration(0), "0.0 s");
    EXPECT_EQ(format_duration(0.42), "0.4 s");
    EXPECT_EQ(format_duration(9.94), "9.9 s");
    EXPECT_EQ(format_duration(9.96), "10 s");
    EXPECT_EQ(format_duration(59.4), "59 s");
    EXPECT_EQ(format_duration(59.6), "1m 00s");
    EXPECT_EQ(format_duration(125), "2m 05s");
    EXPECT_EQ(format_duration(3599.6), "1h 00m");
    EXPECT_EQ(format_duration(12'000), "3h 20m");
    EXPECT_EQ(format_duration(360'000), "100h 00m");
}

TEST(RenderProgress, ShowsBarRateAndTimeLeft) {
    EXPECT_EQ(
        render_progress("reading", 512 << 20, 1 << 30, 10, 20, 64 << 20, 200),
        "reading  [==========          ]  50%  512 MiB of 1.00 GiB  10 of 20 items  64.0 MiB/s  8.0 s left");
}

TEST(RenderProgress, ShowsNoBarWhileTheWholeIsNotKnown) {
    EXPECT_EQ(render_progress("scanning", 2048, 0, 7, 0, 0, 200), "scanning  2.00 KiB  7 items");
    EXPECT_EQ(render_progress("starting", 0, 0, 0, 0, 0.5, 200), "starting  0 B");
}

TEST(RenderProgress, MoreThanExpectedIsAFullBarWithNoTimeLeft) {
    EXPECT_EQ(render_progress("reading", 300, 200, 0, 0, 100, 200),
              "reading  [=================== ]  99%  300 B of 200 B  100 B/s");
    EXPECT_EQ(render_progress("committing", 200, 200, 0, 0, 0, 200),
              "committing  [=================== ]  99%  200 B of 200 B");
}

TEST(RenderProgress, NeverFillsTheLastColumn) {
    for (std::size_t columns = 1; columns < 120; ++columns) {
        EXPECT_LT(render_progress("reading", 512, 1024, 10, 20, 64, columns).size(), columns);
    }
}

TEST(Progress, CountsAndNamesItsPhase) {
    Progress progress;
    progress.set_phase("reading");
    progress.set_total(100, 2);
    progress.add_done(30, 1);
    progress.add_done(20);
    EXPECT_EQ(progress.phase(), "reading");
    EXPECT_EQ(progress.done_bytes(), 50U);
    EXPECT_EQ(progress.done_items(), 1U);
    EXPECT_EQ(progress.total_bytes(), 100U);
    EXPECT_EQ(progress.total_items(), 2U);
    progress.set_done(7, 8);
    EXPECT_EQ(progress.done_bytes(), 7U);
    EXPECT_EQ(progress.done_items(), 8U);
}

TEST(ProgressDisplay, SaysNothingAboutAShortOperation) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::tmpfile(), &std::fclose);
    ASSERT_TRUE(out);
    {
        const Progress progress;
        const ProgressDisplay display(progress, out.get(), ProgressStyle::people);
        const ProgressDisplay disabled(progress, out.get(), ProgressStyle::none);
    }
    EXPECT_EQ(std::ftell(out.get()), 0);
}

TEST(ProgressDisplay, TellsProgramsInJsonFromBeginningToEnd) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::tmpfile(), &std::fclose);
    ASSERT_TRUE(out);
    Progress progress;
    progress.set_phase("reading \"a\"\n");
    progress.set_total(100, 2);
    {
        const ProgressDisplay display(progress, out.get(), ProgressStyle::json);
        progress.set_done(100, 2);
    }
    std::string text(4096, '\0');
    std::rewind(out.get());
    text.resize(std::fread(text.data(), 1, text.size(), out.get()));
    const std::string last =
        "{\"progress\":{\"done_bytes\":100,\"done_items\":2,\"phase\":\"reading \\\"a\\\"\\n\","
        "\"total_bytes\":100,\"total_items\":2}}\n";
    EXPECT_TRUE(text.ends_with("\n" + last)) << text;
}

} // namespace
} // namespace holdfast
