// Credentials that live for an hour: they are taken from where they are each time that a connection is made.
#include "base/file_descriptor.h"
#include "postgres/wal/lsn.h"
#include "support/source_user.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace holdfast::test {
namespace {

using postgres::Lsn;

// At which nobody listens now, and that no outgoing connection gets.
std::uint16_t free_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const FileDescriptor owned(probe);
    for (std::uint16_t port = 21000 + static_cast<std::uint16_t>(::getpid() % 10000); port < 32000; ++port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockaddr generic{};
        std::memcpy(&generic, &address, sizeof generic);
        if (::bind(probe, &generic, sizeof generic) == 0) return port;
    }
    throw std::runtime_error("there is no free port");
}
constexpr const char* role =
    "SET password_encryption = 'scram-sha-256';"
    "CREATE ROLE holdfast LOGIN REPLICATION IN ROLE pg_read_all_settings, pg_monitor;"
    "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), "
    "pg_backup_stop(boolean), pg_switch_wal() TO holdfast";

class ShortLivedCredentials : public SourceUser {
  protected:
    // With the lines of pg_hba.conf.
    void let_in(const std::string& lines) {
        std::ofstream(server.data_directory() + "/pg_hba.conf") << "local all postgres trust\n" << lines;
        server.reload();
    }
    void connect_with(const std::string& connection) {
        write("../holdfast.toml",
              fmt::format("[source.orders]\nkind = 'postgresql'\nslot = 'holdfast'\nspool_directory = '{}'\n"
                          "connection = \"{} dbname=postgres user=holdfast\"\n",
                          scratch.file("spool"), connection));
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    }
    static void private_file(const std::string& path, const std::string& content) {
        std::ofstream(path + ".new", std::ios::binary) << content;
        std::filesystem::permissions(path + ".new", std::filesystem::perms(0600));
        std::filesystem::rename(path + ".new", path);
    }
    Lsn position(const std::string& sql) const {
        return postgres::parse_lsn(server.query_value(sql)).value_or(Lsn{});
    }
    // That all which was written by now has been received and acknowledged.
    void follows(RunningProgram& receiver) {
        server.execute("CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t VALUES (1)");
        const Lsn end = position("SELECT pg_current_wal_flush_lsn()");
        for (int i = 0; i < 6000 && !receiver.ended(); ++i) {
            if (position("SELECT confirmed.l::text FROM (SELECT max(flush_lsn) l FROM pg_stat_replication "
                         "WHERE usename = 'holdfast') confirmed") >= end)
                return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        FAIL() << (receiver.ended() ? receiver.finish().error : receiver.error_so_far());
    }
    // That the server did not let it in.
    void refused(RunningProgram& receiver) {
        const std::string mark = "password authentication failed";
        for (int i = 0; i < 6000 && !receiver.ended(); ++i) {
            if (server.log().find(mark) != std::string::npos) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        FAIL() << (receiver.ended() ? receiver.finish().error : server.log());
    }
    void end_connections() {
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'holdfast'");
    }

    const std::uint16_t port = free_port();
    PostgresServer server{{.version = 15, .wal_segment_mib = 1, .port = port}};
};

TEST_F(ShortLivedCredentials, ATokenIsReadAnewForEachConnection) {
    server.execute(role);
    let_in("local all,replication holdfast scram-sha-256\n");
    const auto issue = [&](const std::string& token) {
        server.execute("ALTER ROLE holdfast PASSWORD '" + token + "'");
        private_file(scratch.file("token"), "*:*:*:holdfast:" + token + "\n");
    };
    issue("first");
    connect_with(
        fmt::format("host={} port={} passfile={}", server.socket_directory(), port, scratch.file("token")));
    init();
    json({"backup", "orders"});
    const auto receiver = start({"wal", "receive", "orders", "--create-slot", "--flush-interval", "0.2"});
    follows(*receiver);
    // A connection that was made outlives its token, and the next one is made with the one that is in force
    // then.
    issue("second");
    follows(*receiver);
    end_connections();
    follows(*receiver);
    // While there is none, it waits for one.
    server.execute("ALTER ROLE holdfast PASSWORD 'third'");
    end_connections();
    refused(*receiver);
    issue("fourth");
    follows(*receiver);
    json({"backup", "orders"});
    receiver->signal(SIGTERM);
    EXPECT_EQ(receiver->finish().exit_code, 0);
}

TEST_F(ShortLivedCredentials, ACertificateIsReadAnewForEachConnection) {
    const std::string folder = scratch.file("tls");
    std::filesystem::create_directory(folder);
    const auto openssl = [&](const std::string& script) {
        const ProgramRun made = run_program({"/bin/sh", "-ec", "cd " + folder + "; " + script}, {});
        ASSERT_EQ(made.exit_code, 0) << made.error;
    };
    const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl("openssl req -x509 " + key +
            " -days 2 -subj '/CN=test CA' -keyout ca.key -out ca.pem; openssl req " + key +
            " -subj /CN=database -keyout server.key -out server.csr; openssl x509 -req -in server.csr "
            "-days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem");
    const auto issue = [&](const std::string& serial) {
        openssl("openssl req " + key +
                " -subj /CN=holdfast -keyout new.key -out new.csr; openssl x509 -req -in "
                "new.csr -days 1 -CA ca.pem -CAkey ca.key -set_serial " +
                serial +
                " -out new.pem; "
                "chmod 600 new.key; mv new.key client.key; mv new.pem client.pem");
    };
    server.execute(role);
    for (const std::string name : {"server.key", "server.pem", "ca.pem"})
        std::filesystem::copy_file(folder + "/" + name, server.make_directory("tls-" + name) + "/" + name);
    const std::string tls = std::filesystem::path(server.socket_directory()).parent_path() / "tls-";
    std::filesystem::permissions(tls + "server.key/server.key", std::filesystem::perms(0600));
    PostgresServer::give(tls + "server.key");
    server.add_settings(
        fmt::format("ssl = on\nssl_key_file = '{0}server.key/server.key'\n"
                    "ssl_cert_file = '{0}server.pem/server.pem'\nssl_ca_file = '{0}ca.pem/ca.pem'\n",
                    tls));
    server.set_arguments({"-c", "listen_addresses=127.0.0.1"});
    server.restart();
    let_in("hostssl all,replication holdfast 127.0.0.0/8 cert\n");
    issue("11");
    connect_with(fmt::format("host=127.0.0.1 port={0} sslmode=verify-ca sslrootcert={1}/ca.pem "
                             "sslcert={1}/client.pem sslkey={1}/client.key",
                             port, folder));
    init();
    const auto serial = [&] {
        return server.query_value(
            "SELECT max(client_serial) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)");
    };
    const auto receiver = start({"wal", "receive", "orders", "--create-slot", "--flush-interval", "0.2"});
    follows(*receiver);
    EXPECT_EQ(serial(), "11");
    issue("12");
    end_connections();
    follows(*receiver);
    EXPECT_EQ(serial(), "12");
    json({"backup", "orders"});
    receiver->signal(SIGTERM);
    EXPECT_EQ(receiver->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
