// The policies that were made by API: the repository has them as statements, the catalog remembers them.
#pragma once

#include "catalog/kept_policies.h"
#include "service/open_repository.h"
#include "service/stated_policies.h"

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Thread-safe. The arguments outlive it.
class PolicyBook {
  public:
    // With what the catalog remembers; the repository need not be there.
    PolicyBook(Catalog& catalog, std::function<OpenRepository()> open);

    struct Entry {
        Policy policy;
        KeptPolicy kept;
    };
    // By name, as of the last look or change.
    std::vector<Entry> entries() const;
    // The declared ones, and these under other names.
    std::vector<Policy> in_force(const std::vector<Policy>& declared) const;
    // What speaks against believing that these are all; empty: nothing.
    std::string problem() const;

    // How often this server has changed policies: what was listed before a change is not the whole truth.
    std::uint64_t changes() const;
    // Takes over what the repository says now, unless it was listed before the last of `changes`. What it
    // does not say any more without having taken it back is believed all the same, and told by problem():
    // somebody withholds a statement. Returns whether policies or problem() are others than before. Throws
    // what the catalog throws.
    bool take(const StatementList& list, std::uint64_t changes);

    // States that the policy `name` is `policy` from now on, or that there is none any more; `kept` is what
    // the catalog is to say, but for its statement. In the transaction of the caller: then reload(). Throws
    // Error(fenced) when it is not as in `seen` any more, and what opening the repository and state_policy()
    // throw.
    class Change {
      public:
        // Opens the repository, and takes over what it says. Other changes by this server wait.
        explicit Change(PolicyBook& book);
        // What there is now of the name.
        std::optional<KeptPolicy> find(const std::string& name) const;
        void state(Database& database, const KeptPolicy& kept, const std::optional<Policy>& policy,
                   const std::optional<KeptPolicy>& seen);

      private:
        PolicyBook& book_;
        std::unique_lock<std::mutex> lock_;
        OpenRepository open_;
        StatementList list_;
    };
    // After a change: reads the catalog again.
    void reload();

  private:
    void read();
    struct Difference;
    Difference compare(const StatementList& list, const std::vector<KeptPolicy>& known) const;

    Catalog& catalog_;
    KeptPolicies kept_;
    std::function<OpenRepository()> open_;
    std::mutex changing_;
    mutable std::mutex mutex_; // of what follows
    std::vector<Entry> entries_;
    std::string problem_;
    std::uint64_t changes_ = 0;
};

} // namespace holdfast
