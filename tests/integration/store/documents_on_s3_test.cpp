// The program as a user runs it, with a repository in S3: all that he does with documents, on each server.
#include "store/s3_store.h"
#include "support/holdfast_user.h"
#include "support/s3_server.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

class DocumentsOnS3 : public HoldfastUser {
  protected:
    explicit DocumentsOnS3(S3ServerKind kind = S3ServerKind::radosgw) : server_(S3Server::shared(kind)) {
        static int buckets = 0;
        bucket_ = fmt::format("documents{}", buckets++);
        server_.make_bucket(bucket_);
        options.environment["HOLDFAST_REPOSITORY"] = url();
        options.environment["AWS_ACCESS_KEY_ID"] = server_.value("access_key");
        options.environment["AWS_SECRET_ACCESS_KEY"] = server_.value("secret_key");
    }

    std::string url() const {
        return fmt::format("s3://{}/team?endpoint={}&region={}", bucket_, server_.value("endpoint"),
                           server_.value("region"));
    }
    S3Store store() const {
        S3Settings settings = server_.settings(bucket_);
        settings.prefix = "team";
        return S3Store(settings);
    }
    std::uint64_t stored_bytes() const {
        std::uint64_t bytes = 0;
        for (const ObjectInfo& object : store().list_all("packs/")) bytes += object.size_bytes;
        return bytes;
    }
    // The first has a.txt, docs/b.txt, docs/large; the second another a.txt, docs/new.txt, docs/large.
    void make_two_snapshots() {
        write("a.txt", "one\n");
        write("docs/b.txt", "two\n");
        write_random("docs/large", 700'000, 1);
        settle();
        first_ = back_up()["id"];
        write("a.txt", "changed\n");
        write("docs/new.txt", "new\n");
        fs::remove(place("docs/b.txt"));
        settle();
        const Json made = back_up();
        second_ = made["id"];
        EXPECT_EQ(made["unchanged_files"], 1);
        EXPECT_LT(made["added_bytes"], 20'000) << "what it has was sent again";
    }
    void expect_that_all_looks_right() {
        const Json listed = json({"snapshots"});
        ASSERT_EQ(listed.size(), 2U);
        EXPECT_EQ(listed[0]["id"], second_);
        EXPECT_EQ(listed[1]["id"], first_);
        EXPECT_EQ(run({"ls", second_, place("docs")}).out,
                  place("docs/large") + "\n" + place("docs/new.txt") + "\n");
        EXPECT_EQ(run({"find", "b.txt"}).out, first_.substr(0, 8) + " " + place("docs/b.txt") + "\n");
        EXPECT_EQ(run({"cat", first_, place("a.txt")}).out, "one\n");
        EXPECT_EQ(run({"cat", "latest", place("docs/large")}).out, content_of(place("docs/large")));
        std::vector<std::string> changes;
        const Json difference_of_both = json({"diff", first_, second_});
        for (const Json& change : difference_of_both["changes"])
            if (!change["path"].get<std::string>().ends_with("docs"))
                changes.push_back(fmt::format("{} {}", change["kind"].get<std::string>(),
                                              change["path"].get<std::string>()));
        EXPECT_THAT(changes,
                    testing::IsSupersetOf({"modified " + place("a.txt"), "removed " + place("docs/b.txt"),
                                           "added " + place("docs/new.txt")}));
    }
    // Whole; one path; and over what is there.
    void expect_that_all_comes_back() {
        expect_restore_equals_source();
        const std::string part = scratch.file("part");
        EXPECT_EQ(json({"restore", first_, "--to", part, "--path", place("docs/b.txt")})["files"], 1);
        EXPECT_EQ(content_of(part + place("docs/b.txt")), "two\n");
        EXPECT_FALSE(fs::exists(part + place("a.txt")));
        const TreeListing before = list_tree(source());
        write("a.txt", "spoiled");
        write("extra", "not in the snapshot");
        fs::remove(place("docs/new.txt"));
        const Json mended =
            json({"restore", "latest", "--to", "/", "--path", source(), "--in-place", "--delete"});
        EXPECT_EQ(mended["failed"], 0) << mended.dump(2);
        EXPECT_EQ(difference(before, list_tree(source())), "");
    }

    S3Server& server_;
    std::string bucket_, first_, second_;
};

TEST_F(DocumentsOnS3, AreBackedUpLookedAtAndRestored) {
    const Json made = json({"init"});
    EXPECT_TRUE(made["capabilities"]["put_if_absent"].get<bool>());
    EXPECT_TRUE(made["can_prune"].get<bool>());
    make_two_snapshots();
    expect_that_all_looks_right();
    expect_that_all_comes_back();
    const Json verified = json({"verify", "--read-data", "--record"});
    EXPECT_TRUE(verified["intact"].get<bool>());
    EXPECT_EQ(verified["content"], "decrypted");
    EXPECT_EQ(verified["snapshots"].size(), 2U);
    EXPECT_THAT(failure({"init"}, 1), HasSubstr("there is a repository"));
}

TEST_F(DocumentsOnS3, GoWhenTheyAreForgottenAndPruned) {
    init();
    write_random("large", 3'000'000, 2);
    settle();
    const std::string unwanted = back_up()["id"];
    fs::remove(place("large"));
    write("small", "text");
    settle();
    back_up();
    json({"forget", unwanted});
    const std::uint64_t before = stored_bytes();
    EXPECT_GT(json({"prune", "--dry-run"})["deleted_bytes"], 2'900'000);
    EXPECT_EQ(stored_bytes(), before);
    EXPECT_GT(json({"prune"})["deleted_bytes"], 2'900'000);
    EXPECT_LT(stored_bytes(), before - 2'900'000);
    EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>());
    expect_restore_equals_source();
}

TEST_F(DocumentsOnS3, ADamagedObjectIsNamedAndOnlyWhatNeedsItFails) {
    init();
    write_random("damaged", 900'000, 3);
    settle();
    back_up();
    std::set<std::string> first_packs;
    S3Store objects = store();
    for (const ObjectInfo& pack : objects.list_all("packs/d")) first_packs.insert(pack.name);
    ASSERT_EQ(first_packs.size(), 1U);
    write_random("sound", 900'000, 4);
    settle();
    back_up();

    const std::string pack = *first_packs.begin();
    Bytes bytes = objects.get(pack, {}, {}).value();
    bytes[400'000] ^= 4;
    objects.put(pack, bytes);
    const Json verified = json({"verify", "--read-data"}, 1);
    EXPECT_FALSE(verified["intact"].get<bool>());
    ASSERT_EQ(verified["damages"].size(), 1U);
    EXPECT_EQ(verified["damages"][0]["object"], pack);
    for (const Json& path : verified["affected_paths"])
        EXPECT_EQ("/" + path["path"].get<std::string>(), place("damaged"));

    const Json restored = json({"restore", "latest", "--to", scratch.file("out")}, 3);
    EXPECT_EQ(restored["failed"], 1);
    ASSERT_EQ(restored["problems"].size(), 1U);
    EXPECT_EQ(restored["problems"][0]["path"], place("damaged"));
    EXPECT_FALSE(fs::exists(scratch.file("out") + place("damaged")));
    EXPECT_EQ(content_of(scratch.file("out") + place("sound")), content_of(place("sound")));

    // As the guide says: the damaged pack is taken away, and everything is read.
    objects.remove(pack, {});
    EXPECT_FALSE(json({"verify"}, 1)["intact"].get<bool>());
    json({"backup", "--source", "home", source(), "--read-everything"});
    expect_restore_equals_source();
}

TEST_F(DocumentsOnS3, TheIndexIsMadeAnew) {
    init();
    write_random("large", 700'000, 5);
    settle();
    back_up();
    S3Store objects = store();
    for (const ObjectInfo& segment : objects.list_all("index/")) objects.remove(segment.name, {});
    fs::remove_all(scratch.file("home") + "/.cache");
    EXPECT_GT(json({"repair", "index"})["blobs"], 0);
    EXPECT_GT(objects.list_all("index/").size(), 0U);
    EXPECT_TRUE(json({"verify"})["intact"].get<bool>());
    fs::copy_file(place("large"), place("the same again"));
    settle();
    EXPECT_LT(back_up()["added_bytes"], 20'000) << "the index does not say that it has it";
}

TEST_F(DocumentsOnS3, KeysAreAddedRotatedAndRemoved) {
    init();
    write("a", "text");
    settle();
    back_up();
    json({"key", "add", "--label", "auditor", "--role", "read", "--new-key-file", scratch.file("reader")});
    RunOptions reader = options;
    reader.environment["HOLDFAST_KEY_FILE"] = scratch.file("reader");
    EXPECT_EQ(run({"cat", "latest", place("a")}, reader).out, "text");
    EXPECT_EQ(json({"key", "rotate"})["epoch"], 2);
    write("b", "of the second epoch");
    back_up();
    EXPECT_EQ(run({"cat", "latest", place("b")}, reader).out, "of the second epoch");
    json({"key", "remove", "auditor"});
    failure({"cat", "latest", place("a")}, 1, reader);
    EXPECT_EQ(json({"key", "list"}).size(), 3U) << "the owner's, the recovery key's, and the removed one";
    expect_restore_equals_source();
}

TEST_F(DocumentsOnS3, CredentialsComeFromConfigurationFilesAndEnvironment) {
    init();
    const auto without = [&] {
        RunOptions as = options;
        for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HOLDFAST_REPOSITORY"})
            as.environment.erase(name);
        return as;
    };
    RunOptions nobody = without();
    nobody.environment["HOLDFAST_REPOSITORY"] = url();
    EXPECT_THAT(failure({"snapshots"}, 2, nobody), HasSubstr("AWS_ACCESS_KEY_ID"));

    // All in the configuration, but for the secret, which has a file of its own.
    std::ofstream(scratch.file("secret")) << server_.value("secret_key") << "\n";
    const std::string configured =
        fmt::format("repository = 's3://{}/team'\n[s3]\nendpoint = '{}'\nregion = '{}'\naccess_key = '{}'\n"
                    "secret_key_file = '{}'\n",
                    bucket_, server_.value("endpoint"), server_.value("region"), server_.value("access_key"),
                    scratch.file("secret"));
    std::ofstream(scratch.file("holdfast.toml")) << configured;
    RunOptions by_configuration = without();
    by_configuration.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    EXPECT_EQ(json({"snapshots"}, 0, by_configuration).size(), 0U);

    // A profile of the tools that others use, which the URL names: it wins over what stands in the
    // configuration.
    std::ofstream(scratch.file("credentials"))
        << fmt::format("[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"
                       "[office]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                       server_.value("access_key"), server_.value("secret_key"));
    RunOptions by_profile = without();
    by_profile.environment["AWS_SHARED_CREDENTIALS_FILE"] = scratch.file("credentials");
    EXPECT_THAT(failure({"snapshots", "--repo", url()}, 1, by_profile), HasSubstr("InvalidAccessKeyId"));
    EXPECT_EQ(json({"snapshots", "--repo", url() + "&profile=office"}, 0, by_profile).size(), 0U);
    std::ofstream(scratch.file("wrong.toml"))
        << "[s3]\naccess_key = 'nobody'\nsecret_key_file = '" << scratch.file("secret") << "'\n";
    by_profile.environment["HOLDFAST_CONFIG"] = scratch.file("wrong.toml");
    EXPECT_EQ(json({"snapshots", "--repo", url() + "&profile=office"}, 0, by_profile).size(), 0U);
    EXPECT_THAT(failure({"snapshots", "--repo", url()}, 1, by_profile), HasSubstr("InvalidAccessKeyId"));
}

TEST_F(DocumentsOnS3, GoToADiskAndToS3InOneRun) {
    const std::string disk = repository();
    json({"init", url()});
    json({"init", disk});
    write_random("a", 200'000, 6);
    settle();
    const Json made = json({"backup", "--repo", disk, "--repo", url(), "--source", "home", source()});
    ASSERT_EQ(made["repositories"].size(), 2U);
    for (const std::string& of : {disk, url()}) {
        options.environment["HOLDFAST_REPOSITORY"] = of;
        EXPECT_EQ(json({"snapshots"}).size(), 1U) << of;
        EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>()) << of;
        expect_restore_equals_source();
    }
    EXPECT_EQ(made["repositories"][0]["repository"], disk);
    EXPECT_EQ(made["repositories"][1]["repository"], url());
    EXPECT_EQ(made["repositories"][1]["result"]["id"], json({"snapshots"})[0]["id"]);
}

// Which has no put-if-absent.
class DocumentsOnSwift : public DocumentsOnS3 {
  protected:
    DocumentsOnSwift() : DocumentsOnS3(S3ServerKind::swift) {}
};

TEST_F(DocumentsOnSwift, AreBackedUpAndRestoredAndPruneIsRefused) {
    const Json made = json({"init"});
    EXPECT_FALSE(made["capabilities"]["put_if_absent"].get<bool>());
    EXPECT_FALSE(made["can_prune"].get<bool>());
    make_two_snapshots();
    expect_that_all_looks_right();
    expect_that_all_comes_back();
    EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>());

    EXPECT_THAT(run({"forget", first_}).out, HasSubstr("append-only"));
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    const std::uint64_t before = stored_bytes();
    const Json refused = json({"prune"}, 1);
    EXPECT_EQ(refused["error"]["code"], "unsupported");
    EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("only if its name is free"));
    EXPECT_THAT(refused["error"]["hint"].get<std::string>(), HasSubstr("without pruning"));
    EXPECT_EQ(stored_bytes(), before);
    expect_restore_equals_source();
}

} // namespace
} // namespace holdfast::test
