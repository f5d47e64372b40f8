#include "postgres/server/tar_reader.h"
#include "support/error_matchers.h"
#include "support/run_program.h"
#include "support/tar_header.h"
#include "support/temporary_directory.h"

#include <filesystem>
#include <fstream>

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

namespace {

struct Kept {
    TarEntry entry;
    std::string content;
    bool ended = false;
};

class KeepingVisitor final : public TarVisitor {
  public:
    void entry(const TarEntry& entry) override { all.push_back({entry, {}, false}); }
    void data(ByteView piece) override { all.back().content += as_text(piece); }
    void end_entry() override { all.back().ended = true; }

    std::vector<Kept> all;
};

std::vector<Kept> read_tar(ByteView archive, std::size_t piece = 1 << 20) {
    KeepingVisitor visitor;
    TarReader reader(visitor);
    for (std::size_t at = 0; at < archive.size(); at += piece)
        reader.take(archive.subspan(at, std::min(piece, archive.size() - at)));
    reader.finish();
    return visitor.all;
}

} // namespace

TEST(TarReader, ReadsWhatTarWritesInPiecesOfAnySize) {
    const TemporaryDirectory directory;
    const std::string long_directory(90, 'd');
    std::filesystem::create_directories(directory.path() / "top/base/empty");
    std::filesystem::create_directories(directory.path() / "top" / long_directory);
    const std::string content(1234, 'x');
    std::ofstream(directory / "top/base/1259") << content;
    std::ofstream(directory / "top/nothing").flush();
    std::ofstream(directory / ("top/" + long_directory + "/" + std::string(80, 'f'))) << "far";
    std::filesystem::create_symlink("/somewhere", directory / "top/link");
    const ProgramRun run = run_program({"/bin/tar", "--format=ustar", "--sort=name", "-cf",
                                        directory / "t.tar", "-C", directory / "top", "."},
                                       {});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    std::ifstream file(directory / "t.tar", std::ios::binary);
    const std::string archive((std::istreambuf_iterator<char>(file)), {});
    for (const std::size_t piece : {1u, 7u, 512u, 1000u, 1u << 20}) {
        const std::vector<Kept> all = read_tar(as_bytes(archive), piece);
        ASSERT_EQ(all.size(), 8u);
        EXPECT_EQ(all[0].entry.path, "");
        EXPECT_EQ(all[0].entry.kind, TarEntry::Kind::directory);
        EXPECT_EQ(all[1].entry.path, "base");
        EXPECT_EQ(all[2].entry.path, "base/1259");
        EXPECT_EQ(all[2].entry.size, content.size());
        EXPECT_EQ(all[2].content, content);
        EXPECT_EQ(all[2].entry.mode, 0644u);
        EXPECT_GT(all[2].entry.modified, 1'600'000'000);
        EXPECT_EQ(all[2].entry.uid, ::getuid());
        EXPECT_EQ(all[2].entry.gid, ::getgid());
        EXPECT_EQ(all[2].entry.user, ::getpwuid(::getuid())->pw_name);
        EXPECT_EQ(all[2].entry.group, ::getgrgid(::getgid())->gr_name);
        EXPECT_EQ(all[3].entry.path, "base/empty");
        EXPECT_EQ(all[5].entry.path, long_directory + "/" + std::string(80, 'f'));
        EXPECT_EQ(all[5].content, "far");
        EXPECT_EQ(all[6].entry.kind, TarEntry::Kind::symbolic_link);
        EXPECT_EQ(all[6].entry.link_target, "/somewhere");
        EXPECT_EQ(all[7].entry.path, "nothing");
        for (const Kept& kept : all) EXPECT_TRUE(kept.ended) << kept.entry.path;
    }
}

TEST(TarReader, TakesAnArchiveWithoutEndMark) {
    const Bytes archive = tar_header({.name = "PG_VERSION"});
    const std::vector<Kept> all = read_tar(archive);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].entry.mode, 0600u);
    EXPECT_EQ(all[0].entry.modified, 1);
    EXPECT_TRUE(all[0].ended);
}

TEST(TarReader, TakesSizesInBase256) {
    KeepingVisitor visitor;
    TarReader reader(visitor);
    reader.take(tar_header({.name = "big", .size = std::string("\x80\0\0\0\0\0\0\x03\0\0\0\x05", 12)}));
    ASSERT_EQ(visitor.all.size(), 1u);
    EXPECT_EQ(visitor.all[0].entry.size, (3ull << 32) + 5);
    expect_error(ErrorCode::corrupt, [&] { reader.finish(); }, "ends inside");
}

TEST(TarReader, RefusesWhatIsNoArchiveOfAServer) {
    const Bytes zeros(512);
    Bytes damaged = tar_header({.name = "a"});
    damaged[3] ^= 1;
    Bytes cut = tar_header({.name = "a", .size = "00000001000 "});
    cut.resize(700);
    Bytes more = tar_header({.name = "a"});
    more.insert(more.end(), zeros.begin(), zeros.end());
    const Bytes again = tar_header({.name = "b"});
    more.insert(more.end(), again.begin(), again.end());
    const std::string huge = "\xff" + std::string(11, '\xff');
    for (const Bytes& archive :
         {damaged, cut, more, Bytes(zeros.begin(), zeros.begin() + 100), tar_header({.name = "/etc/passwd"}),
          tar_header({.name = "../up"}), tar_header({.name = "a/../../up"}),
          tar_header({.name = "a", .prefix = ".."}), tar_header({.name = ""}),
          tar_header({.name = "a", .kind = 'x'}), tar_header({.name = "a", .size = "0000000zz00 "}),
          tar_header({.name = "a", .size = huge}), tar_header({.name = "a", .magic = "other"})}) {
        expect_error(ErrorCode::corrupt, [&] { read_tar(archive); });
    }
}
