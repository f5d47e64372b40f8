// A repository in memory and a catalog for books of policies: those of one server or of several.
#pragma once

#include "policy/policy_form.h"
#include "server/policy_book.h"
#include "support/content_repository.h"
#include "support/hook_store.h"

#include <functional>
#include <string>

namespace holdfast::test {

class PolicyWorld {
  public:
    explicit PolicyWorld(Catalog& catalog) : catalog_(catalog) {}

    OpenRepository open() {
        return {.repository = stored.open(ContentRepository::credential()), .store = {}};
    }
    StatementList list() { return list_statements(stored.repository->context()); }
    static Policy policy(const std::string& name, const std::string& body) {
        return parse_policy(name, body);
    }
    static std::string keeping(int last, const std::string& source = "home") {
        return policy_json(policy("any", R"({"sources":[")" + source + R"("],"retention":{"last":)" +
                                             std::to_string(last) + "}}"));
    }
    KeptPolicy kept(const std::string& name, const std::string& body) {
        return {
            .name = name, .body = body, .statement = {}, .changed = stored.clock.now(), .changed_by = "anna"};
    }

    // One step of a change as a server takes it; an empty body takes the policy away.
    static KeptPolicy state(PolicyBook::Change& change, KeptPolicy kept,
                            const std::optional<KeptPolicy>& seen) {
        std::optional<Policy> said;
        if (!kept.body.empty()) said = policy(kept.name, kept.body);
        kept.statement = change.state(kept.name, said, seen);
        return kept;
    }
    void keep(PolicyBook::Change& change, const KeptPolicy& kept, const std::optional<KeptPolicy>& seen) {
        catalog_.transaction([&](Database& database) { change.keep(database, kept, seen); });
    }
    // All of it.
    void set(PolicyBook& book, const std::string& name, const std::string& body) {
        PolicyBook::Change change(book);
        const auto seen = book.find(name);
        keep(change, state(change, kept(name, body), seen), seen);
        book.reload();
    }
    // A snapshot of a source that nobody configured.
    void back_up(const std::string& source) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.source = source;
        auto run = stored.begin(settings);
        stored.commit(*run, {});
    }

    // Called ahead of each call of the store; taken away before it is called, which may call the store.
    std::function<void(const StoreCall&)> hook;
    // Has `body` done once, ahead of the next put of a statement.
    void before_statement(const std::function<void()>& body) {
        hook = [this, body](const StoreCall& call) {
            if (call.verb != StoreVerb::put || !call.name.starts_with("statements/")) return;
            hook = {};
            body();
        };
    }
    ContentRepository stored{1, [this](std::shared_ptr<Store> inner) {
                                 return std::make_shared<HookStore>(std::move(inner),
                                                                    [this](const StoreCall& call) {
                                                                        if (auto now = hook) now(call);
                                                                    });
                             }};

  private:
    Catalog& catalog_;
};

} // namespace holdfast::test
