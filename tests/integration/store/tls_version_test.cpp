// Which TLS a store must speak, against a real server that speaks one version alone.
#include "store/http_client.h"
#include "store/s3_client.h"
#include "support/holdfast_user.h"
#include "support/s3_server.h"
#include "support/store_conformance.h"

#include <fstream>
#include <regex>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class TlsVersion12 : public HoldfastUser {
  protected:
    // OpenSSL's own server, which answers every request with a page about itself.
    TlsVersion12() {
        const std::string tls = certificates();
        server_ = std::make_unique<RunningProgram>(
            std::vector<std::string>{"/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2",
                                     "-www", "-cert", tls + "/server.crt", "-key", tls + "/server.key"},
            RunOptions{});
        const std::regex accepts("ACCEPT [^ \n]*:([0-9]+)");
        for (std::smatch match; port_.empty() && !server_->ended();
             std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
            const std::string said = server_->out_so_far();
            if (std::regex_search(said, match, accepts)) port_ = match[1];
        }
        if (port_.empty()) throw std::runtime_error("openssl s_server: " + server_->finish().error);
        options.environment["AWS_ACCESS_KEY_ID"] = "access";
        options.environment["AWS_SECRET_ACCESS_KEY"] = "secret";
    }

    static std::string certificates() {
        const std::string ca = S3Server::shared(S3ServerKind::radosgw).ca_file();
        return ca.substr(0, ca.rfind('/'));
    }
    std::string endpoint() const { return "https://localhost:" + port_; }
    std::string ca_file() const { return certificates() + "/ca.pem"; }
    std::string url(const std::string& more = "") const {
        return fmt::format("s3://bucket?endpoint={}&ca_file={}{}", endpoint(), ca_file(), more);
    }
    S3Answer ask(const std::string& min_tls) const {
        S3Settings settings = parse_s3_url(url());
        settings.credentials = {"access", "secret"};
        settings.min_tls = min_tls;
        return S3Client(settings, system_clock()).call({.key = "object"}, {});
    }

    std::unique_ptr<RunningProgram> server_;
    std::string port_;
};

TEST_F(TlsVersion12, IsRefusedUnlessItIsAllowed) {
    for (const std::string min_tls : {"", "1.3"}) {
        const Error error = thrown_error([&] { ask(min_tls); });
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        EXPECT_FALSE(error.retryable()) << "it stays so";
        EXPECT_THAT(error.message(), HasSubstr(endpoint() + " does not speak TLS 1.3"));
        EXPECT_THAT(error.hint(), HasSubstr("min_tls=1.2"));
    }
    const S3Answer answer = ask("1.2");
    EXPECT_EQ(answer.http.status, 200);
    EXPECT_THAT(std::string(as_text(answer.http.body)), HasSubstr("TLSv1.2"));
}

TEST_F(TlsVersion12, TheProgramSaysHowToAllowIt) {
    EXPECT_THAT(failure({"snapshots", "--repo", url()}, 1),
                AllOf(HasSubstr("does not speak TLS 1.3"), HasSubstr("min_tls=1.2")));
    // What answers is no store, which is seen only when it may answer.
    std::ofstream(scratch.file("holdfast.toml")) << "[s3]\nmin_tls = '1.2'\n";
    RunOptions configured = options;
    configured.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    for (const std::string& said : {failure({"snapshots", "--repo", url("&min_tls=1.2")}, 1),
                                    failure({"snapshots", "--repo", url()}, 1, configured)})
        EXPECT_THAT(said, Not(HasSubstr("TLS")));
    // The URL wins.
    EXPECT_THAT(failure({"snapshots", "--repo", url("&min_tls=1.3")}, 1, configured), HasSubstr("TLS 1.3"));
}

TEST_F(TlsVersion12, IsEnoughForWhatBelongsToOthers) {
    HttpClient client({.ca_file = ca_file()});
    EXPECT_EQ(client.perform({.url = endpoint() + "/"}, {}).status, 200);
}

TEST_F(TlsVersion12, AHandshakeWithWhatSpeaksNoTlsIsCalledSo) {
    S3Settings settings = S3Server::shared(S3ServerKind::radosgw).settings("bucket");
    settings.endpoint.replace(0, 4, "https");
    const Error error = thrown_error([&] { S3Client(settings, system_clock()).call({.key = "a"}, {}); });
    EXPECT_THAT(error.hint(), AllOf(HasSubstr("http://"), Not(HasSubstr("min_tls"))));
    EXPECT_FALSE(error.retryable()) << "it stays so";
}

} // namespace
} // namespace holdfast::test
