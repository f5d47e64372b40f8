#include "repository/config.h"
#include "repository/json_form.h"
#include "support/repository_fixture.h"

#include <string>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class ConfigTest : public RepositoryTest {
  protected:
    const std::string name{config_name};

    // The stored config with one text in its body replaced, signed again by the root.
    Bytes changed(std::string_view from, std::string_view to) {
        const ObjectForm form = read_object_form(name, store.objects.at(name));
        std::string body(as_text(form.body));
        const auto at = body.find(from);
        EXPECT_NE(at, std::string::npos) << body;
        body.replace(at, from.size(), to);
        return sign_object(ObjectKind::config, name, as_bytes(body), admin->config.root_slot,
                           admin->ring.signing_key());
    }
};

TEST_F(ConfigTest, ComesBackAsItWasWritten) {
    const RepositoryConfig config = load_config(store);
    EXPECT_EQ(config.repository, admin->config.repository);
    EXPECT_EQ(config.created, clock.now());
    EXPECT_EQ(config.root, admin->ring.signing_key().public_key());
    EXPECT_EQ(config.root_slot, admin->ring.slot());
    EXPECT_TRUE(config.capabilities.put_if_absent);
    EXPECT_FALSE(config.capabilities.object_lock);
    EXPECT_EQ(config.pack_bytes, default_pack_bytes);
    EXPECT_EQ(config.classes.at(0), "default");
    EXPECT_EQ(config.digest, admin->config.digest);
}

TEST_F(ConfigTest, EveryFlippedBitIsDetected) {
    const Bytes intact = store.objects.at(name);
    for (std::size_t bit = 0; bit < intact.size() * 8; ++bit) {
        Bytes bytes = intact;
        bytes[bit / 8] = static_cast<Byte>(bytes[bit / 8] ^ (1U << (bit % 8)));
        // covers.
        EXPECT_ANY_THROW(read_config(bytes)) << bit;
    }
}

TEST_F(ConfigTest, UnknownFeatureThatMustBeKnownIsRefused) {
    EXPECT_NO_THROW(read_config(changed(R"("may_ignore":[])", R"("may_ignore":["nice"])")));
    EXPECT_EQ(code_of([&] { read_config(changed(R"("must_know":[])", R"("must_know":["essential"])")); }),
              ErrorCode::incompatible);
    EXPECT_EQ(code_of([&] { read_config(changed(R"("pack_bytes")", R"("must-have":1,"pack_bytes")")); }),
              ErrorCode::incompatible);
    EXPECT_NO_THROW(read_config(changed(R"("pack_bytes")", R"("later":1,"pack_bytes")")));
    EXPECT_EQ(code_of([&] { read_config(changed(R"("suite":1)", R"("suite":2)")); }),
              ErrorCode::incompatible);
}

TEST_F(ConfigTest, MalformedBodiesAreCorrupt) {
    EXPECT_EQ(code_of([&] { read_config(changed(R"("pack_bytes")", R"("suite":1,"pack_bytes")")); }),
              ErrorCode::corrupt)
        << "a member twice";
    EXPECT_EQ(code_of([&] { read_config(changed(R"("pack_bytes":)", R"("pack_bytes":-)")); }),
              ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { read_config(changed(R"("pack_bytes")", R"("pack_size")")); }),
              ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { read_config(changed(R"("00":"default")", R"("0":"default")")); }),
              ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] {
                  read_config(changed(R"("pack_bytes")", R"("deep":[[[[[[[[[[[[]]]]]]]]]]]],"pack_bytes")"));
              }),
              ErrorCode::corrupt);
}

TEST(JsonForm, TimesThatNoClockCanShowAreCorrupt) {
    for (const std::string_view time :
         {"1677-09-21T00:12:42Z", "2262-04-11T23:47:17Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"}) {
        JsonWriter json;
        json.text("time", time);
        const Bytes bytes = json.finish();
        EXPECT_EQ(code_of([&] { static_cast<void>(JsonReader::parse(bytes, "test", 100).time("time")); }),
                  ErrorCode::corrupt)
            << time;
    }
}

TEST(JsonForm, WrittenMembersComeBackSortedByName) {
    JsonWriter inner;
    inner.boolean("yes", true);
    std::vector<JsonWriter> list;
    list.emplace_back().number("n", 1);
    JsonWriter json;
    json.text("b", "text").number("a", UINT64_MAX).object("inner", inner).objects("list", list);
    const Bytes bytes = json.finish();
    EXPECT_EQ(as_text(bytes),
              R"({"a":18446744073709551615,"b":"text","inner":{"yes":true},"list":[{"n":1}]})");
    const JsonReader reader = JsonReader::parse(bytes, "test", 1000);
    EXPECT_EQ(reader.number("a", UINT64_MAX), UINT64_MAX);
    EXPECT_EQ(reader.text("b", 10), "text");
    EXPECT_TRUE(reader.object("inner").boolean("yes"));
    EXPECT_EQ(reader.objects("list", 1).front().number("n", 1), 1U);
    EXPECT_EQ(reader.keys(), (std::vector<std::string>{"a", "b", "inner", "list"}));
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.text("b", 3)); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.number("b", 3)); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.time("b")); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.objects("list", 0)); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { JsonReader::parse(bytes, "test", 5); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { JsonReader::parse(as_bytes("[]"), "test", 5); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { JsonReader::parse(as_bytes("{"), "test", 5); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { JsonReader::parse(as_bytes("{} x"), "test", 5); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { JsonReader::parse(as_bytes("{\"a\":\"\xff\"}"), "test", 50); }),
              ErrorCode::corrupt);
}

} // namespace
} // namespace holdfast
