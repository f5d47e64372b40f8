// A user whose holdfast.toml names a PostgreSQL server as the source "orders".
#pragma once

#include "support/holdfast_user.h"
#include "support/postgres_server.h"
#include "support/wal_directory.h"

#include <string>

#include <fmt/format.h>

namespace holdfast::test {

class SourceUser : public HoldfastUser {
  protected:
    // The source's server is `server`, asked as `role`; `more` are more lines about it. Read from now on.
    void configure(const PostgresServer& server, const std::string& role = "postgres",
                   const std::string& more = {}) {
        write("../holdfast.toml",
              fmt::format("[source.orders]\nkind = 'postgresql'\nconnection = \"{}\"\ndata_directory = '{}'\n"
                          "spool_directory = '{}'\n{}",
                          server.conninfo("postgres", role), server.data_directory(), scratch.file("spool"),
                          more));
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    }

    static std::string segment_path(const PostgresServer& server, const std::string& name) {
        return server.data_directory() + "/pg_wal/" + name;
    }
    // The segment that is written now, which then is full.
    static std::string finish_segment(const PostgresServer& server) {
        std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        server.execute("SELECT pg_switch_wal()");
        return name;
    }
    // Pushes all that are full.
    void push_all(const PostgresServer& server) {
        const std::string last = finish_segment(server);
        for (const std::string& name : wal_segments(server.data_directory()))
            if (name <= last) json({"wal", "push", "orders", segment_path(server, name)});
    }
};

} // namespace holdfast::test
