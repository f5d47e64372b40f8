#include "repository/run_context.h"

#include "base/error.h"

#include <utility>

namespace holdfast {

RunContext::RunContext(SlotId writer, std::shared_ptr<const SigningKey> signing_key, RunSecrets secrets)
    : writer_(writer),
      id_(secrets.envelope.run()),
      signing_key_(std::move(signing_key)),
      secrets_(std::move(secrets)),
      sealed_(std::make_unique<Sealed>()) {}

RunContext::RunContext(RunContext&&) noexcept = default;
RunContext& RunContext::operator=(RunContext&&) noexcept = default;
RunContext::~RunContext() = default;

const Secret& RunContext::content_secret() const {
    if (secrets_.content.empty()) {
        throw Error(ErrorCode::wrong_key, "run " + id_.hex() + " has no content secret",
                    "write content with a key slot of role full or write, before the run ends");
    }
    return secrets_.content;
}

void RunContext::forget_content() { secrets_.content = Secret(); }

void RunContext::note_sealed(const std::string& name, const Key& body_digest) {
    const std::scoped_lock lock(sealed_->mutex);
    const auto [entry, inserted] = sealed_->names.emplace(name, body_digest);
    if (!inserted && entry->second != body_digest) {
        throw Error(ErrorCode::internal, name + " would be encrypted twice with different content");
    }
}

} // namespace holdfast
