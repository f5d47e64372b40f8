// Mail over SMTP (RFC 5321), with STARTTLS or TLS and a login.
#pragma once

#include "watch/channels/channel.h"

namespace holdfast {

// A mail that is repeated after a crash has the same Message-ID.
class SmtpChannel final : public Channel {
  public:
    SmtpChannel(ChannelSettings settings, Environment environment)
        : settings_(std::move(settings)), environment_(std::move(environment)) {}
    void send(const Notice& notice, std::stop_token stop) override;

  private:
    const ChannelSettings settings_;
    const Environment environment_;
};

} // namespace holdfast
