#include "documents/directory_reader.h"
#include "documents/entry_writer.h"
#include "documents/metadata_compare.h"
#include "documents/metadata_writer.h"
#include "temporary_tree.h"

#include <thread>

#include <gmock/gmock.h>
#include <sys/xattr.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

FileMetadata details(const TemporaryTree& tree, const std::string& name) {
    FileMetadata metadata;
    OwnerNames owners;
    const Result<void> read = read_details(tree.fd(), name, metadata, owners);
    EXPECT_TRUE(read) << name;
    return metadata;
}

// An access ACL as Linux keeps it in its attribute (linux/posix_acl_xattr.h): version 2, then tag,
// permissions and number of each entry.
std::string acl_value(std::uint16_t extra_permissions, std::uint32_t extra_user) {
    ByteWriter out;
    out.u32(2);
    const auto entry = [&](std::uint16_t tag, std::uint16_t permissions, std::uint32_t id) {
        out.u16(tag);
        out.u16(permissions);
        out.u32(id);
    };
    entry(0x01, 6, UINT32_MAX);                     // owner
    entry(0x02, extra_permissions, extra_user);     // a named user
    entry(0x04, 4, UINT32_MAX);                     // group
    entry(0x10, extra_permissions | 4, UINT32_MAX); // mask
    entry(0x20, 0, UINT32_MAX);                     // others
    return std::string(as_text(out.bytes()));
}

FileMetadata sample(FileType type) {
    FileMetadata metadata;
    metadata.type = type;
    metadata.mode = 0640;
    metadata.uid = 12345;
    metadata.gid = 23456;
    metadata.mtime = {1'234'567'890, 123'456'789};
    return metadata;
}

TEST(MetadataWriter, GivesARegularFileEverything) {
    const TemporaryTree tree;
    tree.file("f");
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    FileMetadata wanted = sample(FileType::regular);
    wanted.size_bytes = 7;
    wanted.mode = 06664; // the group bits are the mask of the ACL
    wanted.attributes = {{"system.posix_acl_access", acl_value(6, 54321)},
                         {"trusted.t", std::string("\0\xff", 2)},
                         {"user.one", "1"},
                         {"user.two", ""}};
    wanted.mode = 06660;
    EXPECT_THAT(writer.apply(tree.fd(), "f", wanted), IsEmpty());
    EXPECT_THAT(compare_metadata(wanted, details(tree, "f"), {}, owners), IsEmpty());
    EXPECT_EQ(details(tree, "f").attributes, wanted.attributes);
    EXPECT_EQ(details(tree, "f").mode, 06660U);
    EXPECT_EQ(details(tree, "f").mtime, wanted.mtime);

    // In place: other values, and what is too much goes.
    wanted.attributes = {{"user.one", "2"}};
    wanted.mode = 0444;
    wanted.uid = 1;
    wanted.mtime = {-1'000'000'000, 1};
    EXPECT_THAT(writer.apply(tree.fd(), "f", wanted), IsEmpty());
    EXPECT_THAT(compare_metadata(wanted, details(tree, "f"), {}, owners), IsEmpty());
    EXPECT_EQ(details(tree, "f").attributes, wanted.attributes);

    const FileDescriptor open = open_file(tree.path("f"), O_RDWR);
    wanted.attributes = {{"system.posix_acl_access", acl_value(4, 7)}, {"user.x", "x"}};
    wanted.mode = 04640;
    EXPECT_THAT(writer.apply(open.get(), wanted), IsEmpty());
    EXPECT_THAT(compare_metadata(wanted, details(tree, "f"), {}, owners), IsEmpty());
    EXPECT_EQ(writer.owner_failures(), 0U);
}

TEST(MetadataWriter, KeepsAclsThatSetfaclMakes) {
    const TemporaryTree tree;
    tree.directory("from");
    tree.directory("to");
    ASSERT_EQ(std::system(("setfacl -m u:1234:rwx,g:4321:r,d:u:77:rx '" + tree.path("from") + "'").c_str()),
              0)
        << "setfacl (package acl) is needed";
    OwnerNames owners;
    const FileMetadata wanted = details(tree, "from");
    ASSERT_EQ(wanted.attributes.size(), 2U);
    MetadataWriter writer({}, owners);
    EXPECT_THAT(writer.apply(tree.fd(), "to", wanted), IsEmpty());
    EXPECT_THAT(compare_entry(tree.fd(), "to", wanted, {}, owners).value(), IsEmpty());
    EXPECT_EQ(details(tree, "to").mode, wanted.mode);
}

TEST(MetadataWriter, GivesLinksTheirOwnOwnerAndTime) {
    const TemporaryTree tree;
    tree.file("target");
    tree.link("l", "target");
    const FileMetadata target = details(tree, "target");
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    FileMetadata wanted = sample(FileType::symlink);
    wanted.link_target = "target";
    wanted.attributes = {{"trusted.on-a-link", "x"}};
    EXPECT_THAT(writer.apply(tree.fd(), "l", wanted), IsEmpty());
    EXPECT_THAT(compare_entry(tree.fd(), "l", wanted, {}, owners).value(), IsEmpty());
    EXPECT_EQ(details(tree, "l").attributes, wanted.attributes);
    EXPECT_THAT(compare_metadata(target, details(tree, "target"), {}, owners), IsEmpty());
}

TEST(MetadataWriter, GivesSpecialFilesTheirMetadata) {
    const TemporaryTree tree;
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    for (const FileType type : {FileType::fifo, FileType::char_device}) {
        FileMetadata wanted = sample(type);
        wanted.rdev_major = type == FileType::fifo ? 0 : 1;
        wanted.rdev_minor = type == FileType::fifo ? 0 : 3;
        const std::string name(to_string(type));
        ASSERT_EQ(make_special(tree.fd(), name, wanted, Existing::refuse), CreateOutcome::created);
        EXPECT_THAT(writer.apply(tree.fd(), name, wanted), IsEmpty());
        EXPECT_THAT(compare_entry(tree.fd(), name, wanted, {}, owners).value(), IsEmpty());
    }
}

TEST(MetadataWriter, NamesWinOverNumbersUnlessAskedOtherwise) {
    const TemporaryTree tree;
    tree.file("f");
    OwnerNames owners;
    FileMetadata wanted = sample(FileType::regular);
    wanted.user = "root";
    wanted.group = "no-such-group-here";
    MetadataWriter by_name({}, owners);
    EXPECT_THAT(by_name.apply(tree.fd(), "f", wanted), IsEmpty());
    EXPECT_EQ(tree.status("f").st_uid, 0U);
    EXPECT_EQ(tree.status("f").st_gid, 23456U);
    MetadataWriter by_number({.numeric_owner = true}, owners);
    EXPECT_THAT(by_number.apply(tree.fd(), "f", wanted), IsEmpty());
    EXPECT_EQ(tree.status("f").st_uid, 12345U);
    MetadataWriter neither({.owner = false, .attributes = false}, owners);
    wanted.uid = 1;
    wanted.user.clear();
    EXPECT_THAT(neither.apply(tree.fd(), "f", wanted), IsEmpty());
    EXPECT_EQ(tree.status("f").st_uid, 12345U);
}

TEST(MetadataWriter, LeavesAnEntryOfAnotherTypeAlone) {
    const TemporaryTree tree;
    tree.file("target", "x", 0600);
    tree.link("f", "target");
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    const std::vector<MetadataProblem> problems = writer.apply(tree.fd(), "f", sample(FileType::regular));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].attribute, Attribute::type);
    EXPECT_EQ(tree.status("target").st_uid, 0U);
    EXPECT_EQ(writer.apply(tree.fd(), "missing", sample(FileType::regular)).at(0).attribute,
              Attribute::existence);
    EXPECT_EQ(thrown_code([&] { writer.apply(tree.fd(), "..", sample(FileType::directory)); }),
              ErrorCode::corrupt);
}

TEST(MetadataWriter, ReportsAttributesThatCannotBeSetAndGoesOn) {
    const TemporaryTree tree;
    tree.file("f");
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    FileMetadata wanted = sample(FileType::regular);
    wanted.attributes = {{"nonsense.name", "x"}, {"user.fine", "y"}};
    const std::vector<MetadataProblem> problems = writer.apply(tree.fd(), "f", wanted);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].attribute, Attribute::attributes);
    EXPECT_NE(problems[0].error.message().find("nonsense.name"), std::string::npos);
    EXPECT_EQ(details(tree, "f").attributes, (std::vector<ExtendedAttribute>{{"user.fine", "y"}}));
    EXPECT_EQ(details(tree, "f").mtime, wanted.mtime);
}

TEST(MetadataWriter, WithoutRootOwnersAreCountedAndSetIdBitsDropped) {
    const TemporaryTree tree;
    ASSERT_EQ(::chmod(tree.path().c_str(), 0777), 0);
    expect_as_nobody([&] {
        OwnerNames owners;
        MetadataWriter writer({}, owners);
        FileMetadata wanted = sample(FileType::regular);
        wanted.uid = 0;
        wanted.gid = 65534;
        wanted.mode = 04755;
        wanted.attributes = {{"user.kept", "x"}};
        bool right = true;
        for (const std::string name : {"1", "2"}) {
            FileWriter::open(tree.fd(), name, Existing::refuse).close();
            const std::vector<MetadataProblem> problems = writer.apply(tree.fd(), name, wanted);
            right = right && problems.size() == 1 && problems.back().attribute == Attribute::mode;
        }
        // A read-only file of our own takes attributes all the same.
        wanted.uid = 65534;
        wanted.mode = 0444;
        right = right && writer.apply(tree.fd(), "1", wanted).empty();
        wanted.attributes = {{"user.other", "y"}};
        right = right && writer.apply(tree.fd(), "1", wanted).empty();
        return right && writer.owner_failures() == 2;
    });
    EXPECT_EQ(tree.status("2").st_mode & 07777U, 0755U);
    EXPECT_EQ(tree.status("1").st_mode & 07777U, 0444U);
    EXPECT_EQ(details(tree, "1").attributes, (std::vector<ExtendedAttribute>{{"user.other", "y"}}));
}

TEST(MetadataWriter, SeveralThreadsShareOne) {
    const TemporaryTree tree;
    for (int i = 0; i < 40; ++i) tree.file(std::to_string(i));
    OwnerNames owners;
    MetadataWriter writer({}, owners);
    FileMetadata wanted = sample(FileType::regular);
    wanted.size_bytes = 7;
    wanted.user = "root";
    wanted.group = "root";
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = t; i < 40; i += 4) {
                    EXPECT_THAT(writer.apply(tree.fd(), std::to_string(i), wanted), IsEmpty());
                    EXPECT_THAT(compare_entry(tree.fd(), std::to_string(i), wanted, {}, owners).value(),
                                IsEmpty());
                }
            });
        }
    }
    EXPECT_EQ(tree.status("39").st_uid, 0U);
}

TEST(MetadataCompare, ListsWhatDiffers) {
    OwnerNames owners;
    FileMetadata wanted = sample(FileType::regular);
    FileMetadata present = wanted;
    EXPECT_THAT(compare_metadata(wanted, present, {}, owners), IsEmpty());
    present.size_bytes = 1;
    present.uid = 1;
    present.gid = 1;
    present.mode = 0;
    present.mtime.nanoseconds += 1;
    present.attributes = {{"user.x", "y"}};
    EXPECT_THAT(compare_metadata(wanted, present, {}, owners),
                ElementsAre(Attribute::size, Attribute::owner, Attribute::group, Attribute::mode,
                            Attribute::mtime, Attribute::attributes));
    EXPECT_THAT(
        compare_metadata(wanted, present, {.owner = false, .mtime = false, .attributes = false}, owners),
        ElementsAre(Attribute::size, Attribute::mode));
    present.type = FileType::fifo;
    EXPECT_THAT(compare_metadata(wanted, present, {}, owners), ElementsAre(Attribute::type));
    wanted = sample(FileType::symlink);
    present = wanted;
    present.mode = 0777;
    present.link_target = "x";
    EXPECT_THAT(compare_metadata(wanted, present, {}, owners), ElementsAre(Attribute::link_target));
    wanted = sample(FileType::char_device);
    present = wanted;
    present.rdev_minor = 1;
    EXPECT_THAT(compare_metadata(wanted, present, {}, owners), ElementsAre(Attribute::device_number));
    const TemporaryTree tree;
    EXPECT_THAT(compare_entry(tree.fd(), "missing", wanted, {}, owners).value(),
                ElementsAre(Attribute::existence));
}

TEST(MetadataCompare, UnchangedFilesAreRecognised) {
    FileMetadata before = sample(FileType::regular);
    before.ctime = {1000, 500};
    before.inode = 7;
    before.device = 1;
    FileMetadata now = before;
    now.device = 2;
    const FileTime later{1001, 0};
    EXPECT_TRUE(unchanged_since(before, now, later));
    // A change in the same tick as the start of the backup can't be told from the one before it.
    EXPECT_FALSE(unchanged_since(before, now, {1000, 500}));
    EXPECT_FALSE(unchanged_since(before, now, {1000, 10'000'500}));
    EXPECT_TRUE(unchanged_since(before, now, {1000, 10'000'501}));
    before.ctime = now.ctime = {1000, 0}; // a coarse clock
    EXPECT_FALSE(unchanged_since(before, now, {1002, 0}));
    EXPECT_TRUE(unchanged_since(before, now, {1002, 1}));
    before.ctime = now.ctime = {1000, 999'999'999};
    EXPECT_FALSE(unchanged_since(before, now, {1001, 9'999'999}));
    EXPECT_TRUE(unchanged_since(before, now, {1001, 10'000'000}));

    now.inode = 8;
    EXPECT_FALSE(unchanged_since(before, now, {2000, 0}));
    EXPECT_TRUE(unchanged_since(before, now, {2000, 0}, true));
    for (int field = 0; field < 4; ++field) {
        now = before;
        if (field == 0) now.size_bytes += 1;
        if (field == 1) now.mtime.nanoseconds += 1;
        if (field == 2) now.ctime.seconds -= 1;
        if (field == 3) now.type = FileType::fifo;
        EXPECT_FALSE(unchanged_since(before, now, {2000, 0})) << field;
    }
}

} // namespace
} // namespace holdfast
