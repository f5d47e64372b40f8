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
    std::optional<KeptPolicy> find(const std::string& name) const;
    // The declared ones, and these under other names.
    std::vector<Policy> in_force(const std::vector<Policy>& declared) const;
    // What speaks against believing that these are all; empty: nothing.
    std::string problem() const;

    // What the catalog says before statements are listed: what was changed since, by this server or another,
    // that list does not tell the truth of.
    struct Known {
        std::uint64_t changes = 0; // by this server
        std::vector<KeptPolicy> policies;
    };
    Known known();
    using ListStatements = std::function<StatementList()>;
    // Takes over what the repository says in `list`, unless something was changed since `known`. What it does
    // not say any more without having taken it back, also when listed `again`, is believed all the same, and
    // told by problem(): somebody withholds a statement. Returns whether policies or problem() are others
    // than before. Throws what the catalog and `again` throw.
    bool take(const StatementList& list, const Known& known, const ListStatements& again);

    // A change of one policy, in two steps: the repository is told, then the catalog. When the second is
    // never done, take() finds what was stated.
    class Change {
      public:
        // Opens the repository, and takes over what it says. Other changes by this server wait, and lists
        // of before are not taken over any more. Throws Error(fenced) where there is a problem(), and what
        // opening and listing throw.
        explicit Change(PolicyBook& book);
        // States that the policy `name` is `policy` from now on, or that there is none any more. Returns the
        // statement's name. Not within a transaction: it takes as long as the repository takes. Throws
        // Error(fenced) when it is not as in `seen`, or another server has stated something of it at the same
        // time: then the later one counts, and both are told. And what state_policy() throws.
        std::string state(const std::string& name, const std::optional<Policy>& policy,
                          const std::optional<KeptPolicy>& seen);
        // Has the catalog say what was stated, unless it knows of something later; without a body that there
        // is none any more. Within a transaction: then reload().
        void keep(Database& database, const KeptPolicy& kept, const std::optional<KeptPolicy>& seen);

      private:
        StatementList list() const;

        PolicyBook& book_;
        std::unique_lock<std::mutex> lock_;
        OpenRepository open_;
        StatementList list_;
    };
    // After a change: reads the catalog again.
    void reload();

  private:
    void read();
    void count_change();
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
