#include "base/json_text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

TEST(JsonText, IsCompactAndInTheOrderOfItsKind) {
    EXPECT_EQ(json_text(nlohmann::json{{"b", 1}, {"a", nullptr}}), R"({"a":null,"b":1})");
    EXPECT_EQ(json_text(nlohmann::ordered_json{{"b", 1}, {"a", "\u00e4"}}), "{\"b\":1,\"a\":\"\u00e4\"}");
}

TEST(JsonText, WhatIsNoTextIsReplacedAndThrowsNothing) {
    for (const char* bytes : {"\xff", "a\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"}) {
        const std::string text = json_text(nlohmann::json{{"name", bytes}});
        const nlohmann::json again = nlohmann::json::parse(text, nullptr, false);
        ASSERT_TRUE(again.is_object()) << text;
        EXPECT_NE(again["name"].get<std::string>().find("\xef\xbf\xbd"), std::string::npos) << text;
    }
}

} // namespace
} // namespace holdfast
