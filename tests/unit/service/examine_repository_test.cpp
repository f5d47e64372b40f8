// What is found of a repository that does not take what it should.
#include "base/error.h"
#include "postgres/receive/receive_state.h"
#include "service/examine_repository.h"
#include "support/document_repository.h"
#include "support/hook_store.h"

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using postgres::Check;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Check& check_of(const std::vector<Check>& checks, const std::string& name) {
    const auto found = std::ranges::find(checks, name, &Check::name);
    if (found == checks.end()) throw std::runtime_error("no check " + name);
    return *found;
}

// A store that says that everything was stored at one time; nothing: that it does not see anything.
class DatedStore final : public StoreDecorator {
  public:
    DatedStore(std::shared_ptr<Store> inner, std::optional<Timestamp> time)
        : StoreDecorator(std::move(inner)), time_(time) {}

    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override {
        auto info = StoreDecorator::head(name, options);
        if (!info || !time_) return std::nullopt;
        info->modified = *time_;
        return info;
    }

  protected:
    void around(StoreCall&, const std::function<void()>& body) override { body(); }

  private:
    const std::optional<Timestamp> time_;
};

class ExamineRepositoryTest : public testing::Test {
  protected:
    std::vector<Check> examine(const std::shared_ptr<Store>& store, const Credential& credential) {
        Repository repository(store, unlock(*files.store, credential),
                              LocalDirectories{files.scratch.file("cache"), files.scratch.path().string()},
                              system_clock(), files.random, silent_logger());
        return examine_repository(repository, {});
    }
    // Over a store that fails as `before` does.
    std::vector<Check> examine(const test::HookStore::Hook& before, const Credential& credential) {
        return examine(std::make_shared<test::HookStore>(files.store, before), credential);
    }
    std::vector<Check> examine_dated(std::optional<Timestamp> time) {
        return examine(std::make_shared<DatedStore>(files.store, time),
                       test::DocumentRepository::passphrase());
    }
    std::vector<Check> examine(const test::HookStore::Hook& before) {
        return examine(before, test::DocumentRepository::passphrase());
    }
    static test::HookStore::Hook refusing(StoreVerb verb, ErrorCode code) {
        return [=](const StoreCall& call) {
            if (call.verb == verb)
                throw Error(code, "planned", code == ErrorCode::no_space ? "make room" : "");
        };
    }

    test::DocumentRepository files;
};

TEST_F(ExamineRepositoryTest, OneThatTakesObjectsIsLeftAsItWas) {
    const std::vector<Check> checks = examine([](const StoreCall&) {});
    for (const Check& check : checks) EXPECT_EQ(to_string(check.state), "ok") << check.name << check.found;
    EXPECT_THAT(check_of(checks, "repository_writable").found, HasSubstr("and removed"));
    EXPECT_THAT(files.names("probe/"), IsEmpty());
}

TEST_F(ExamineRepositoryTest, ARefusedPutIsAFailureWithSomethingToDo) {
    for (const ErrorCode code :
         {ErrorCode::access_denied, ErrorCode::no_space, ErrorCode::read_only, ErrorCode::unavailable}) {
        const Check check = check_of(examine(refusing(StoreVerb::put, code)), "repository_writable");
        EXPECT_EQ(to_string(check.state), "failed") << to_string(code);
        EXPECT_EQ(check.found, "planned");
        EXPECT_THAT(check.mend, Not(IsEmpty()));
    }
    EXPECT_THROW(examine(refusing(StoreVerb::put, ErrorCode::cancelled)), Error);
}

TEST_F(ExamineRepositoryTest, WhoMayNotDeleteMayBackUp) {
    const Check check =
        check_of(examine(refusing(StoreVerb::remove, ErrorCode::access_denied)), "repository_writable");
    EXPECT_EQ(to_string(check.state), "ok");
    EXPECT_THAT(check.found, HasSubstr("not removed from here"));
    EXPECT_THAT(files.names("probe/"), Not(IsEmpty()));
    for (const std::string& name : files.names("probe/")) EXPECT_LT(files.bytes_of(name).size(), 100U);
}

TEST_F(ExamineRepositoryTest, AStoresClockIsComparedWhenItHasOne) {
    const Timestamp now = system_clock().now();
    const Check behind = check_of(examine_dated(now - std::chrono::hours(1)), "repository_clock");
    EXPECT_EQ(to_string(behind.state), "warning");
    EXPECT_THAT(behind.found, HasSubstr(" s behind ours"));
    const Check ahead = check_of(examine_dated(now + std::chrono::hours(2)), "repository_clock");
    EXPECT_EQ(to_string(ahead.state), "warning");
    EXPECT_THAT(ahead.found, HasSubstr(" s ahead of ours"));
    const Check without = check_of(examine_dated(Timestamp{}), "repository_clock");
    EXPECT_EQ(to_string(without.state), "ok");
    EXPECT_THAT(without.found, HasSubstr("tells no time"));
}

TEST_F(ExamineRepositoryTest, AStoreThatDoesNotShowWhatItTookIsToldOf) {
    const Check check = check_of(examine_dated(std::nullopt), "repository_writable");
    EXPECT_EQ(to_string(check.state), "warning");
    EXPECT_THAT(check.found, HasSubstr("not seen yet"));
    EXPECT_THAT(check.mend, Not(IsEmpty()));
    const Check unread =
        check_of(examine(refusing(StoreVerb::head, ErrorCode::access_denied)), "repository_writable");
    EXPECT_EQ(to_string(unread.state), "failed");
}

TEST_F(ExamineRepositoryTest, AKeyThatStoresNothingIsAFailure) {
    const Credential reader = files.add_slot(Role::read);
    const Check check = check_of(examine([](const StoreCall&) {}, reader), "repository_role");
    EXPECT_EQ(to_string(check.state), "failed");
    EXPECT_THAT(check.mend, HasSubstr("--role write"));
}

TEST_F(ExamineRepositoryTest, OfASpoolThePlaceAndWhatItsReceiverSays) {
    const std::string spool = files.scratch.file("spool"), state = files.scratch.file("state");
    const Timestamp now = system_clock().now();
    EXPECT_EQ(to_string(check_of(examine_spool(spool + "/below", state, now), "spool").state), "ok");
    EXPECT_FALSE(std::filesystem::exists(spool)) << "something was made";
    postgres::ReceiveState said;
    said.source = "orders";
    said.phase = "streaming";
    said.time = now;
    write_receive_state(state, said);
    EXPECT_EQ(to_string(check_of(examine_spool(spool, state, now), "receiver").state), "ok");
    EXPECT_EQ(to_string(check_of(examine_spool(spool, state, now + std::chrono::hours(1)), "receiver").state),
              "warning");
    said.alarms = {"the slot was dropped"};
    write_receive_state(state, said);
    const Check alarmed = check_of(examine_spool(spool, state, now), "receiver");
    EXPECT_EQ(to_string(alarmed.state), "warning");
    EXPECT_THAT(alarmed.found, HasSubstr("the slot was dropped"));
    std::ofstream(spool) << "a file";
    const Check spoiled = check_of(examine_spool(spool + "/below", state, now), "spool");
    EXPECT_EQ(to_string(spoiled.state), "failed");
    EXPECT_THAT(spoiled.found, HasSubstr("is no directory"));
}

} // namespace
} // namespace holdfast
