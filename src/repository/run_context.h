// A run that is going on: its id, its secrets, and who signs for it.
#pragma once

#include "base/secret.h"
#include "crypto/sign.h"
#include "repository/envelope.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace holdfast {

// Owns the content secret, and with that the only copy a write-only holder ever has: it is wiped with the
// run. All methods but forget_content are thread-safe.
class RunContext {
  public:
    RunContext(SlotId writer, std::shared_ptr<const SigningKey> signing_key, RunSecrets secrets);
    RunContext(RunContext&&) noexcept;
    RunContext& operator=(RunContext&&) noexcept;
    ~RunContext();

    const RunId& id() const { return id_; }
    const SlotId& writer() const { return writer_; }
    const Envelope& envelope() const { return secrets_.envelope; }
    const SigningKey& signing_key() const { return *signing_key_; }
    const Secret& structure_secret() const { return secrets_.structure; }
    // Throws Error(wrong_key) in a structure-only run, and after forget_content.
    const Secret& content_secret() const;
    // Wipes the content secret: no more frames will be written. Not thread-safe.
    void forget_content();

    // Notes that `name` is sealed with content of this digest. Throws Error(internal) when it was with
    // another: that would use a key and nonce twice.
    void note_sealed(const std::string& name, const Key& body_digest);

  private:
    struct Sealed {
        std::mutex mutex;
        std::map<std::string, Key> names;
    };
    SlotId writer_;
    RunId id_;
    std::shared_ptr<const SigningKey> signing_key_;
    RunSecrets secrets_;
    std::unique_ptr<Sealed> sealed_;
};

} // namespace holdfast
