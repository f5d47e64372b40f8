#include "support/s3_server.h"

#include "store/s3_client.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

// Runs a command of the shell and returns what it writes to standard output.
std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    if (!pipe) throw std::runtime_error("cannot run " + command);
    std::string output;
    std::array<char, 4096> buffer{};
    for (std::size_t size; (size = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;) {
        output.append(buffer.data(), size);
    }
    return output;
}

void run(const std::string& command, const std::string& log) {
    const int status = std::system((command + " >" + log + " 2>&1").c_str());
    if (status == 0) return;
    std::stringstream text;
    text << std::ifstream(log).rdbuf();
    throw std::runtime_error(fmt::format("'{}' failed: {}", command, text.str()));
}

} // namespace

S3Server::S3Server(S3ServerKind kind)
    : script_(std::string(HOLDFAST_SERVER_SCRIPTS) +
              (kind == S3ServerKind::radosgw ? "/radosgw-up.sh" : "/swift-up.sh")) {
    make_certificates();
    // A port that was free may be taken when the server comes to it; the script then fails, and another may
    // be free.
    std::string output;
    std::string log;
    for (int attempt = 0; attempt < 3; ++attempt) {
        const std::string place = directory_ / fmt::format("s{}", attempt);
        log = place + ".log";
        output = output_of(
            fmt::format("timeout 180 {} {} {} {} 2>{}", script_, place, directory_ / "tls", ::getpid(), log));
        if (output.find("endpoint=") != std::string::npos) break;
    }
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        if (const std::size_t equals = line.find('='); equals != std::string::npos) {
            values_[line.substr(0, equals)] = line.substr(equals + 1);
        }
    }
    if (!values_.contains("endpoint") || !values_.contains("stop")) {
        std::stringstream text;
        text << std::ifstream(log).rdbuf();
        throw std::runtime_error(fmt::format("{} did not start a server: {}", script_, text.str()));
    }
}

S3Server::~S3Server() {
    if (const auto stop = values_.find("stop"); stop != values_.end()) {
        if (std::system(stop->second.c_str()) != 0)
            std::fprintf(stderr, "'%s' failed\n", stop->second.c_str());
    }
}

S3Server& S3Server::shared(S3ServerKind kind) {
    static std::mutex mutex;
    static std::map<S3ServerKind, std::unique_ptr<S3Server>> servers;
    static std::map<S3ServerKind, std::string> failures;
    const std::scoped_lock lock(mutex);
    if (const auto failure = failures.find(kind); failure != failures.end())
        throw std::runtime_error(failure->second);
    std::unique_ptr<S3Server>& server = servers[kind];
    try {
        if (!server) server = std::make_unique<S3Server>(kind);
    } catch (const std::exception& error) {
        failures[kind] = error.what();
        throw;
    }
    return *server;
}

const std::string& S3Server::value(const std::string& key) const { return values_.at(key); }

S3Settings S3Server::settings(const std::string& bucket) const {
    return {.bucket = bucket,
            .endpoint = value("endpoint"),
            .region = value("region"),
            .credentials = credentials()};
}

void S3Server::make_bucket(const std::string& bucket, bool versions, bool locks) {
    S3Client client(settings(bucket), system_clock());
    NameValues headers;
    if (locks) headers.emplace_back("x-amz-bucket-object-lock-enabled", "true");
    client.expect({.method = "PUT", .headers = headers}, {}, "making a bucket");
    if (!versions && !locks) return;
    const ByteView body =
        as_bytes("<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                 "<Status>Enabled</Status></VersioningConfiguration>");
    client.expect(
        {.method = "PUT", .query = {{"versioning", ""}}, .body = std::span(&body, 1), .with_md5 = true}, {},
        "switching versions on");
}

void S3Server::make_certificates() const {
    const std::string tls = directory_ / "tls";
    std::filesystem::create_directory(tls);
    std::ofstream(tls + "/names") << "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1\n";
    run(fmt::format(
            "cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
            "'/CN=test CA' "
            "-keyout ca.key -out ca.pem && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
            "-subj /CN=localhost -keyout server.key -out server.csr && openssl x509 -req -in server.csr "
            "-days 2 "
            "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
            tls),
        directory_ / "tls.log");
}

} // namespace holdfast::test
