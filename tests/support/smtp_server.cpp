#include "support/smtp_server.h"

#include "base/bytes.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {

namespace {

// A server is up within a second; this long only where something is wrong.
constexpr int most_waits = 6000;

void make_certificate(const std::string& directory) {
    std::ofstream(directory + "/names") << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    const ProgramRun run = run_program(
        {"/bin/sh", "-c",
         fmt::format(
             "cd {0} && openssl req -x509 {1} -days 2 -subj '/CN=test CA' -keyout ca.key -out ca.pem && "
             "openssl req {1} -subj /CN=localhost -keyout server.key -out server.csr && "
             "openssl x509 -req -in server.csr -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial "
             "-extfile names -out server.crt",
             directory, key)},
        {});
    if (run.exit_code != 0) throw std::runtime_error("no certificate was made: " + run.error);
}

} // namespace

SmtpServer::SmtpServer(const SmtpServerOptions& options) {
    const std::string place = directory_.path().string();
    // Debian's Python has Debian's packages.
    std::vector<std::string> command{"/usr/bin/python3",
                                     std::string(HOLDFAST_SERVER_SCRIPTS) + "/smtp-server.py", place};
    if (options.tls) {
        make_certificate(place);
        command.insert(command.end(), {"--tls", directory_ / "server.crt", directory_ / "server.key"});
    }
    if (!options.user.empty()) command.insert(command.end(), {"--login", options.user, options.password});
    if (options.greylist > 0) command.insert(command.end(), {"--greylist", std::to_string(options.greylist)});
    program_ = std::make_unique<RunningProgram>(command, RunOptions{});
    for (int i = 0; i < most_waits && !std::filesystem::exists(directory_ / "port"); ++i) {
        if (program_->ended()) throw std::runtime_error("no SMTP server: " + program_->finish().error);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::ifstream(directory_ / "port") >> port_;
    if (port_.empty()) throw std::runtime_error("the SMTP server did not start");
}

std::vector<SmtpServer::Mail> SmtpServer::mails() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "mails"))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::ranges::sort(files);
    std::vector<Mail> mails;
    for (const auto& file : files) {
        std::ifstream in(file);
        const auto json = nlohmann::json::parse(in);
        Mail mail;
        mail.from = json.at("from");
        mail.to = json.at("to").get<std::vector<std::string>>();
        const Bytes data = from_base64(json.at("data").get<std::string>());
        mail.data = as_text(data);
        mail.tls = json.at("tls");
        if (json.at("user").is_string()) mail.user = json.at("user").get<std::string>();
        mails.push_back(std::move(mail));
    }
    return mails;
}

std::string SmtpServer::Mail::header(const std::string& name) const {
    const std::string headers = "\r\n" + data.substr(0, data.find("\r\n\r\n") + 2);
    const std::size_t at = headers.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    std::size_t end = headers.find("\r\n", begin);
    std::string value = headers.substr(begin, end - begin);
    // Lines that begin with a blank go on.
    while (end + 2 < headers.size() && headers[end + 2] == ' ') {
        const std::size_t next = headers.find("\r\n", end + 2);
        value += headers.substr(end + 2, next - end - 2);
        end = next;
    }
    return value;
}

std::string SmtpServer::Mail::text() const {
    std::string body = data.substr(data.find("\r\n\r\n") + 4);
    std::erase_if(body, [](char c) { return c == '\r' || c == '\n'; });
    const Bytes decoded = from_base64(body);
    return std::string(as_text(decoded));
}

} // namespace holdfast::test
