#include "base/terminal_text.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(TerminalText, WhatIsTextStays) {
    EXPECT_EQ(harmless(""), "");
    EXPECT_EQ(harmless("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 a\\b"),
              "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 a\\b");
}

TEST(TerminalText, WhatSteersATerminalDoesNot) {
    EXPECT_EQ(harmless("\x1b[2J\r\n\x7f"), "\\x1b[2J\\x0d\\x0a\\x7f");
    EXPECT_EQ(harmless("\xc2\x9b"
                       "2J"),
              "\\xc2\\x9b2J"); // the same in one character
    EXPECT_EQ(harmless("a\xe2\x80\xae"
                       "b"),
              "a\\xe2\\x80\\xaeb"); // right to left from here
    EXPECT_EQ(harmless("\x9b\xff\xc3"), "\\x9b\\xff\\xc3");
    EXPECT_EQ(harmless(harmless("\x1b")), harmless("\x1b"));
}

} // namespace
} // namespace holdfast
