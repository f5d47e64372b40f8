// A real SMTP server for tests: aiosmtpd, started by scripts/servers/smtp-server.py and stopped with its
// owner.
#pragma once

#include "support/run_program.h"
#include "support/temporary_directory.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::test {

struct SmtpServerOptions {
    bool tls = false;                     // STARTTLS, and nothing without
    std::string user = {}, password = {}; // with both: nobody else is let in
    int greylist = 0;                     // so many mails get a 451 first
};

class SmtpServer {
  public:
    // Throws std::runtime_error, with what it said, when it does not start: tests must then fail.
    explicit SmtpServer(const SmtpServerOptions& options = {});

    std::string address() const { return "localhost:" + port_; }
    std::string ca_file() const { return directory_ / "ca.pem"; }

    struct Mail {
        std::string from;
        std::vector<std::string> to;
        std::string data;
        bool tls = false;
        std::optional<std::string> user;
        // The value of a header, unfolded; empty when there is none.
        std::string header(const std::string& name) const;
        // What is behind the headers, decoded.
        std::string text() const;
    };
    // In the order in which they were taken.
    std::vector<Mail> mails() const;

  private:
    TemporaryDirectory directory_;
    std::unique_ptr<RunningProgram> program_;
    std::string port_;
};

} // namespace holdfast::test
