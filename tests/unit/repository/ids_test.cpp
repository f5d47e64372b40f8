#include "repository/ids.h"

#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

RunId counting_id() {
    RunId id;
    std::iota(id.bytes.begin(), id.bytes.end(), Byte{0xf0});
    return id;
}

const std::string run_text = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

// One name of each kind, as section 1 of the format writes it.
std::vector<std::string> names_of_the_format() {
    const RunId run = counting_id();
    const PackId pack{run, 0x1a2b, data_pack, 0x0c};
    DomainId domain;
    domain.bytes.fill(0xab);
    return {
        std::string(config_name),
        slot_name(run),
        grant_name(run, 3),
        revocation_name(run),
        pack.name(),
        index_segment_name(domain, run, 0xffffffff),
        intent_name(run, 0),
        commit_name(run),
        checkpoint_name(run, 16),
        forget_name(run),
        statement_name(run, 255),
        condemned_name(run),
        verdict_name(run),
        moved_name(pack),
        LogSliceId{run, {0x1f, 0x100, 0x2000}, run, 7}.name(),
    };
}

TEST(Names, AreThoseOfTheFormat) {
    const std::vector<std::string> expected{
        "config",
        "keys/" + run_text,
        "grants/" + run_text + "-00000003",
        "revocations/" + run_text,
        "packs/d0c/" + run_text + "-00001a2b",
        "index/abababababababab/" + run_text + "-ffffffff",
        "intents/" + run_text + "-00000000",
        "commits/" + run_text,
        "checkpoints/" + run_text + "-00000010",
        "forgets/" + run_text,
        "statements/" + run_text + "-000000ff",
        "condemned/" + run_text,
        "verdicts/" + run_text,
        "moved/" + run_text + "-00001a2b-d0c",
        "logs/" + run_text + "/0000001f-0000000000000100-0000000000002000-" + run_text + "-00000007",
    };
    EXPECT_EQ(names_of_the_format(), expected);
}

TEST(Names, ComeBackFromParsing) {
    std::set<NameKind> kinds;
    for (const std::string& name : names_of_the_format()) {
        const auto parsed = parse_name(name);
        ASSERT_TRUE(parsed) << name;
        EXPECT_EQ(object_name(*parsed), name);
        kinds.insert(parsed->kind);
    }
    EXPECT_EQ(kinds.size(), 15U);
    const auto moved = parse_name("moved/" + run_text + "-00001a2b-d0c");
    EXPECT_EQ(moved->pack(), (PackId{counting_id(), 0x1a2b, data_pack, 0x0c}));
    EXPECT_EQ(parse_name("probe/anything-at-all")->kind, NameKind::probe);
    EXPECT_FALSE(parse_name(std::string("probe/01\r\0", 10))) << "no store takes it";
}

TEST(Names, AnyChangedMissingOrAddedCharacterIsAnotherNameOrNone) {
    for (const std::string& name : names_of_the_format()) {
        const auto original = parse_name(name);
        for (std::size_t i = 0; i <= name.size(); ++i) {
            std::vector<std::string> variants;
            for (const char character : {'/', '-', 'g', 'A', '.', '\0', ' ', '0', 'm'}) {
                variants.push_back(name.substr(0, i) + character + name.substr(i));
                if (i < name.size()) variants.push_back(name.substr(0, i) + character + name.substr(i + 1));
            }
            if (i < name.size()) variants.push_back(name.substr(0, i) + name.substr(i + 1));
            for (const std::string& variant : variants) {
                if (variant == name) continue;
                const auto parsed = parse_name(variant);
                if (!parsed) continue;
                // A strict parser: what is accepted is written the same way, and is not the original.
                EXPECT_EQ(object_name(*parsed), variant);
                EXPECT_NE(parsed, original) << variant;
            }
        }
    }
}

TEST(Names, NoSliceIsLongerThanTheLargest) {
    for (const std::uint64_t begin : {std::uint64_t{0}, UINT64_MAX - largest_slice_bytes}) {
        LogSliceId slice{counting_id(), {1, begin, begin + largest_slice_bytes}, counting_id(), 0};
        EXPECT_EQ(LogSliceId::from_name(slice.name()), slice);
        ++slice.range.end;
        EXPECT_EQ(LogSliceId::from_name(slice.name()), std::nullopt);
        slice.range.end = UINT64_MAX;
        EXPECT_EQ(LogSliceId::from_name(slice.name()).has_value(), begin != 0);
    }
}

TEST(Names, UpperCaseShortAndForeignNamesAreNone) {
    for (const std::string& name :
         {std::string(), std::string("keys"), std::string("keys/"), std::string("/config"),
          std::string("config/"), "commits/F" + run_text.substr(1), "packs/x00/" + run_text + "-00000000",
          "packs/d0/" + run_text + "-00000000", "packs/d00/" + run_text, "intents/" + run_text + "-0",
          "index/" + run_text + "-00000000", "trash/" + run_text}) {
        EXPECT_FALSE(parse_name(name)) << name;
    }
}

TEST(PackId, BytesAreThoseOfTheFormat) {
    const PackId pack{counting_id(), 0x01020304, log_pack, 0x7f};
    EXPECT_EQ(pack.to_bytes().hex(), run_text + "04030201" + "6c" + "7f" + "0000");
    EXPECT_EQ(PackId::from_bytes(pack.to_bytes()), pack);
    EXPECT_EQ(PackId::from_name(pack.name()), pack);
    EXPECT_FALSE(PackId::from_name(commit_name(pack.run)));
}

TEST(PackId, UnknownKindsAndSetReservedBytesAreRefused) {
    const PackBytes good = PackId{counting_id(), 1, metadata_pack, 0}.to_bytes();
    for (const std::size_t at : {22U, 23U}) {
        PackBytes bad = good;
        bad.bytes[at] = 1;
        EXPECT_FALSE(PackId::from_bytes(bad)) << at;
    }
    PackBytes unknown = good;
    unknown.bytes[20] = 'x';
    EXPECT_FALSE(PackId::from_bytes(unknown));
}

TEST(DomainId, IsTheSameEverywhereAndAnotherForEachName) {
    EXPECT_EQ(domain_id("office"), domain_id("office"));
    EXPECT_NE(domain_id("office"), domain_id("Office"));
}

} // namespace
} // namespace holdfast
