// A way to tell people of a notice.
#pragma once

#include "base/clock.h"
#include "watch/channels/channel_settings.h"
#include "watch/outbox.h"

#include <memory>
#include <stop_token>

namespace holdfast {

// Thread-safe. Secrets are read for each notice, and are in no error.
class Channel {
  public:
    virtual ~Channel() = default;
    // Returns when the other side has taken it. Throws what went wrong; what may pass is retryable, with the
    // time that the other side asked for.
    virtual void send(const Notice& notice, std::stop_token stop) = 0;
};

// `clock` must outlive it.
std::unique_ptr<Channel> make_channel(ChannelSettings settings, Clock& clock,
                                      Environment environment = process_environment());

// What `send` is given to try a channel: marked as a test.
Notice test_notice(std::string_view origin, const std::string& id, Timestamp now);

} // namespace holdfast
