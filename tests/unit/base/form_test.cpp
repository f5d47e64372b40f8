#include "base/form.h"
#include "support/error_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::error_of;
using test::expect_error;
using testing::ElementsAre;
using testing::Pair;

TEST(Form, ReadsEachType) {
    Form form = Form::parse(R"({"a": "x", "b": true, "c": 7, "d": ["x", "y"], "e": "z", "f": {"k": "v"},
                                "g": {"h": 1}, "i": [{"j": 2}, {"j": 3}], "l": {"m": {"n": 4}}, "o": null})",
                            "policy.p");
    EXPECT_EQ(form.text("a"), "x");
    EXPECT_EQ(form.flag("b"), true);
    EXPECT_EQ(form.number("c", 1, 7), 7u);
    EXPECT_THAT(form.texts("d"), ElementsAre("x", "y"));
    EXPECT_THAT(form.texts("e"), ElementsAre("z"));
    EXPECT_THAT(form.text_map("f"), ElementsAre(Pair("k", "v")));
    std::optional<Form> inner = form.form("g");
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->number("h", 0, 9), 1u);
    EXPECT_EQ(inner->path("h"), "policy.p.g.h");
    std::vector<Form> list = form.forms("i");
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[1].number("j", 0, 9), 3u);
    EXPECT_EQ(list[1].path("j"), "policy.p.i[1].j");
    EXPECT_EQ(form.forms("g").size(), 1u);
    auto named = form.named_forms("l");
    ASSERT_EQ(named.size(), 1u);
    EXPECT_EQ(named.at("m").path("n"), "policy.p.l.m.n");
    EXPECT_FALSE(form.text("o"));
    EXPECT_FALSE(form.has("o"));
    EXPECT_FALSE(form.text("nothing"));
    EXPECT_NO_THROW(form.expect_no_more());
}

TEST(Form, NamesTheFieldAtFault) {
    const auto refused = [](const char* json, const auto& read, const char* field) {
        Form form = Form::parse(json, "p");
        const auto error = error_of([&] { read(form); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), ErrorCode::usage);
        EXPECT_EQ(error->field(), field);
        EXPECT_NE(error->message().find(field), std::string::npos) << error->message();
    };
    refused(R"({"a": 1})", [](Form& f) { f.text("a"); }, "p.a");
    refused(R"({"a": ""})", [](Form& f) { f.text("a"); }, "p.a");
    refused(R"({"a": "12345"})", [](Form& f) { f.text("a", 4); }, "p.a");
    refused(R"({"a": "x\u0000y"})", [](Form& f) { f.text("a"); }, "p.a");
    refused(R"({"a": "x"})", [](Form& f) { f.flag("a"); }, "p.a");
    refused(R"({"a": 8})", [](Form& f) { f.number("a", 1, 7); }, "p.a");
    refused(R"({"a": -1})", [](Form& f) { f.number("a", 0, 7); }, "p.a");
    refused(R"({"a": 1.5})", [](Form& f) { f.number("a", 0, 7); }, "p.a");
    refused(R"({"a": [1]})", [](Form& f) { f.texts("a"); }, "p.a");
    refused(R"({"a": {"b": 1}})", [](Form& f) { f.text_map("a"); }, "p.a");
    refused(R"({"a": []})", [](Form& f) { f.form("a"); }, "p.a");
    refused(R"({"a": [1]})", [](Form& f) { f.forms("a"); }, "p.a[0]");
    refused(R"({"a": {"b": 1}})", [](Form& f) { f.named_forms("a"); }, "p.a.b");
    refused(
        R"({"a": "x", "b": 1})",
        [](Form& f) {
            f.text("a");
            f.expect_no_more();
        },
        "p.b");
    refused(
        R"({"a": "x"})",
        [](Form& f) {
            f.text_as("a", [](const std::string&) -> int { throw Error(ErrorCode::usage, "is odd"); });
        },
        "p.a");
}

TEST(Form, RefusesWhatIsNoObject) {
    for (const char* json : {"", "{", "[]", "1", "{\"a\": 1} x", "{\"a\": \xff}", "{\"a\": 1, \"a\": 2}"})
        expect_error(ErrorCode::usage, [&] { Form::parse(json, "body"); }, "body");
    const std::string deep = "{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}";
    expect_error(ErrorCode::usage, [&] { Form::parse(deep, ""); }, "nested too deeply");
    expect_error(
        ErrorCode::usage, [] { Form::parse("{\"a\": \"" + std::string(2u << 20, 'x') + "\"}", ""); },
        "1 MiB");
}

TEST(Form, LeavesOtherErrorsAlone) {
    Form form = Form::parse(R"({"a": "x"})", "p");
    expect_error(ErrorCode::io, [&] {
        form.text_as("a", [](const std::string&) -> int { throw Error(ErrorCode::io, "disk"); });
    });
}

} // namespace
} // namespace holdfast
