// One stream of the log from a server into the spool.
#pragma once

#include "postgres/receive/log_server.h"
#include "postgres/receive/receive_status.h"
#include "postgres/server/wal_stream.h"

#include <functional>
#include <optional>

namespace holdfast::postgres {

enum class StreamResult {
    next_timeline, // ended here; next() says where to go on
    log_removed,   // the server no longer has what comes next
    reconnect,     // shut down, or stopped
    spool_full,
};

class ServerStream {
  public:
    // What the receiver brings along; must outlive the stream.
    struct Tools {
        const ReceiveSettings& settings;
        WalSpool& spool;
        ArchiveSide& archive;
        ReceiveStatus& status;
        Alarms& alarms;
        std::stop_token stop;
        // Stores what is in the spool, as far as there is time.
        std::function<void()> finish_storing;
        std::function<bool()> spool_is_full;
    };

    // Begins at the end of the spool, which is not empty. Throws as WalStream does.
    ServerStream(LogServer& server, const Tools& tools);

    // Until the stream ends. When a stop is requested, what came is stored and told to the server first.
    StreamResult run();
    WalPosition next() const { return next_; }

  private:
    // False when the stream has ended.
    bool take(const StreamEvent& event);
    void take_data(const WalData& data);
    void keep_up();
    void tell_server();
    Lsn written_as_promised() const;
    Duration patience() const;
    Duration now() const { return system_clock().steady(); }

    const Tools& tools_;
    const TimelineId timeline_;
    WalStream stream_;
    WalPosition told_; // to the server, as durable
    Lsn told_written_; // and as written
    Duration told_at_{};
    std::uint64_t unsynced_bytes_ = 0;
    Duration unsynced_since_{};
    std::optional<WalPosition> hurry_to_; // the server waits until this is acknowledged
    bool appended_ = false;               // since the shipper was noticed last
    bool noticed_ = false;
    StreamResult result_ = StreamResult::reconnect;
    WalPosition next_;
};

} // namespace holdfast::postgres
