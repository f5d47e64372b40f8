#include "postgres/files/recovery_settings.h"
#include "support/error_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::code_of;
using testing::HasSubstr;
using testing::Not;

RecoverySettings settings_for(RecoveryTarget target) {
    RecoverySettings settings;
    settings.target = std::move(target);
    settings.restore_command = "holdfast wal fetch %f %p";
    return settings;
}

TEST(RecoverySettings, NameOneTargetAndEmptyTheOthersBeforeIt) {
    const std::string lines = recovery_lines(settings_for(RecoverToLsn{Lsn{0x16B374D848}}));
    EXPECT_EQ(lines, "restore_command = 'holdfast wal fetch %f %p'\n"
                     "recovery_target = ''\n"
                     "recovery_target_name = ''\n"
                     "recovery_target_time = ''\n"
                     "recovery_target_xid = ''\n"
                     "recovery_target_lsn = '16/B374D848'\n"
                     "recovery_target_inclusive = 'on'\n"
                     "recovery_target_timeline = 'latest'\n"
                     "recovery_target_action = 'promote'\n"
                     "primary_conninfo = ''\n"
                     "primary_slot_name = ''\n");
    const std::string time =
        recovery_lines(settings_for(RecoverToTime{from_rfc3339("2026-11-21T01:54:21.5+02:00")}));
    EXPECT_THAT(time,
                HasSubstr("recovery_target_lsn = ''\nrecovery_target_time = '2026-11-20 23:54:21.5+00'\n"));
}

TEST(RecoverySettings, OfEachTarget) {
    EXPECT_THAT(recovery_lines(settings_for(RecoverToConsistency{})),
                HasSubstr("\nrecovery_target = 'immediate'\n"));
    EXPECT_THAT(recovery_lines(settings_for(RecoverToXid{736})),
                HasSubstr("\nrecovery_target_xid = '736'\n"));
    EXPECT_THAT(recovery_lines(settings_for(RecoverToXid{0x500000007})),
                HasSubstr("\nrecovery_target_xid = '7'\n"));
    EXPECT_THAT(recovery_lines(settings_for(RecoverToName{"it's\\here"})),
                HasSubstr("\nrecovery_target_name = 'it''s\\\\here'\n"));
    const std::string end = recovery_lines(settings_for(RecoverToEnd{}));
    for (const char* name : {"", "_name", "_time", "_xid", "_lsn"}) {
        EXPECT_THAT(end, HasSubstr(std::string("\nrecovery_target") + name + " = ''\n"));
    }
}

TEST(RecoverySettings, TimesBetweenMicrosecondsLoseNoCommit) {
    const auto line = [](std::string_view time, bool inclusive) {
        RecoverySettings settings = settings_for(RecoverToTime{from_rfc3339(time)});
        settings.inclusive = inclusive;
        const std::string lines = recovery_lines(settings);
        const std::size_t at = lines.find("recovery_target_time = ");
        return lines.substr(at + 23, lines.find('\n', at) - at - 23);
    };
    // A commit at .000001 is in the first, and not in the second, which leaves out what is at its time or
    // later.
    EXPECT_EQ(line("2026-11-20T00:00:00.0000019Z", true), "'2026-11-20 00:00:00.000001+00'");
    EXPECT_EQ(line("2026-11-20T00:00:00.0000011Z", false), "'2026-11-20 00:00:00.000002+00'");
    EXPECT_EQ(line("2026-11-20T00:00:00.000001Z", false), "'2026-11-20 00:00:00.000001+00'");
    EXPECT_EQ(line("1969-12-31T23:59:59.9999999Z", true), "'1969-12-31 23:59:59.999999+00'");
    EXPECT_EQ(line("1969-12-31T23:59:59.9999999Z", false), "'1970-01-01 00:00:00+00'");
}

TEST(RecoverySettings, OtherChoices) {
    RecoverySettings settings = settings_for(RecoverToEnd{});
    settings.inclusive = false;
    settings.timeline = 12;
    settings.action = TargetAction::pause;
    settings.more = {{"archive_mode", "off"}, {"my.Setting", "a\nb\r'\\"}};
    const std::string lines = recovery_lines(settings);
    EXPECT_THAT(lines, HasSubstr("\nrecovery_target_inclusive = 'off'\nrecovery_target_timeline = '12'\n"
                                 "recovery_target_action = 'pause'\n"));
    EXPECT_THAT(lines, HasSubstr("\narchive_mode = 'off'\nmy.Setting = 'a\\nb\\r''\\\\'\n"));
    EXPECT_EQ(signal_file(settings), "recovery.signal");
    settings.standby = true;
    settings.primary_connection = "host=a password='b c'";
    EXPECT_EQ(signal_file(settings), "standby.signal");
    EXPECT_THAT(recovery_lines(settings), HasSubstr("\nprimary_conninfo = 'host=a password=''b c'''\n"));
    settings.action = TargetAction::shutdown;
    EXPECT_THAT(recovery_lines(settings), HasSubstr("= 'shutdown'\n"));
}

TEST(RecoverySettings, WhatNoServerTakesIsRefused) {
    const auto refused = [](const RecoverySettings& settings) {
        return code_of([&] { recovery_lines(settings); }) == "usage";
    };
    for (const std::string& name :
         {std::string(), std::string(64, 'x'), std::string("a\nb"), std::string("a\0b", 3)}) {
        EXPECT_TRUE(refused(settings_for(RecoverToName{name}))) << name;
    }
    EXPECT_THAT(recovery_lines(settings_for(RecoverToName{std::string(63, 'x')})),
                HasSubstr(std::string(63, 'x')));
    EXPECT_TRUE(refused(settings_for(RecoverToLsn{})));
    EXPECT_TRUE(refused(settings_for(RecoverToXid{})));
    EXPECT_TRUE(refused(settings_for(RecoverToXid{std::uint64_t{1} << 32})));
    RecoverySettings settings = settings_for(RecoverToConsistency{});
    settings.standby = true;
    EXPECT_TRUE(refused(settings));
    settings = settings_for(RecoverToEnd{});
    settings.restore_command.clear();
    EXPECT_TRUE(refused(settings));
    settings.standby = true;
    EXPECT_THAT(recovery_lines(settings), HasSubstr("restore_command = ''\n"));
    settings = settings_for(RecoverToEnd{});
    settings.restore_command = std::string("a\0b", 3);
    EXPECT_TRUE(refused(settings));
    for (const char* name : {"", "a b", "a=b", "a'", "1a", "a\n", "#a"}) {
        settings = settings_for(RecoverToEnd{});
        settings.more = {{name, "x"}};
        EXPECT_TRUE(refused(settings)) << name;
    }
}

TEST(RecoveryLines, TakeThePlaceOfThoseOfAnEarlierRecovery) {
    const std::string lines = recovery_lines(settings_for(RecoverToEnd{}));
    for (const char* original : {"", "\n", "a = 1\n", "a = 1", "# comment\nrestore_command = 'mine'\n\n"}) {
        const std::string with = with_recovery_lines(original, lines);
        EXPECT_THAT(with, HasSubstr(lines));
        EXPECT_EQ(with.rfind(original, 0), 0U);
        EXPECT_EQ(with_recovery_lines(with, lines), with);
        EXPECT_EQ(with_recovery_lines(with, "a = 'b'\n"), with_recovery_lines(original, "a = 'b'\n"));
        // What was added behind them later stays.
        const std::string later = with_recovery_lines(with + "later = 'x'\n", "");
        EXPECT_EQ(later.rfind(original, 0), 0U);
        EXPECT_THAT(later, HasSubstr("later = 'x'\n"));
        EXPECT_THAT(later, testing::Not(HasSubstr("recovery_target")));
    }
}

TEST(RecoveryLines, BeginOnALineOfTheirOwn) {
    const std::string with = with_recovery_lines("a = 1", "b = 2\n");
    EXPECT_THAT(with, HasSubstr("a = 1\n"));
    EXPECT_THAT(with, HasSubstr("\nb = 2\n"));
}

} // namespace
} // namespace holdfast::postgres
