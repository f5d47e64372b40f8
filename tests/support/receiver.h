// A receiver of the log at work in a thread, and what it archived held against the server's own files.
#pragma once

#include "base/error.h"
#include "postgres/receive/receive_wal.h"
#include "support/postgres_server.h"
#include "support/wal_directory.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast::test {

class RunningReceiver {
  public:
    RunningReceiver(Repository& repository, postgres::ReceiveSettings settings) {
        settings.report = [this](const postgres::ReceiveState& state) {
            const std::scoped_lock lock(mutex_);
            state_ = state;
        };
        thread_ = std::jthread([this, &repository, settings](const std::stop_token& stop) {
            try {
                postgres::receive_wal(repository, settings, stop);
            } catch (const Error& error) {
                const std::scoped_lock lock(mutex_);
                error_ = error;
            }
            ended_ = true;
        });
    }

    postgres::ReceiveState state() const {
        const std::scoped_lock lock(mutex_);
        return state_;
    }
    // Waits until the state is as wanted; fails the test when the receiver ends before, or never gets there.
    template <typename Wanted>
    postgres::ReceiveState wait_for(Wanted&& wanted) {
        const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(3);
        while (!wanted(state())) {
            if (ended_ || std::chrono::steady_clock::now() > patience) {
                ADD_FAILURE() << (error_ ? error_->message() : "waited in vain") << "\n"
                              << postgres::to_json_text(state());
                break;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return state();
    }
    postgres::ReceiveState wait_until_archived(postgres::WalPosition position) {
        return wait_for([&](const auto& state) { return state.archived >= position; });
    }
    // Of a receiver that ends by itself.
    std::optional<Error> error() {
        if (thread_.joinable()) thread_.join();
        return error_;
    }
    postgres::ReceiveState stop() {
        thread_.request_stop();
        thread_.join();
        EXPECT_FALSE(error_) << error_->message();
        return state_;
    }

  private:
    mutable std::mutex mutex_;
    postgres::ReceiveState state_;
    std::optional<Error> error_;
    std::atomic<bool> ended_ = false;
    std::jthread thread_;
};

// That the archive has all of `range` without a gap, and as it lies in the pg_wal of `directory`.
inline void expect_archived_as_written(const postgres::WalArchive& archive, const std::string& directory,
                                       const postgres::WalRange& range, std::uint64_t segment_bytes) {
    using postgres::Lsn;
    Lsn at = range.begin;
    Bytes file;
    std::string name;
    std::uint64_t different = 0;
    const Lsn end = archive.read(range, [&](ByteView bytes) {
        while (!bytes.empty()) {
            const std::string of = postgres::segment_name(range.timeline, at, segment_bytes);
            if (of != name) file = read_whole_file(directory + "/pg_wal/" + of);
            name = of;
            const std::uint64_t offset = at.value % segment_bytes;
            const std::size_t size = std::min<std::size_t>(bytes.size(), segment_bytes - offset);
            if (!std::ranges::equal(bytes.first(size), ByteView(file).subspan(offset, size))) ++different;
            bytes = bytes.subspan(size);
            at = at + size;
        }
    });
    EXPECT_EQ(end, range.end) << "a gap at " << end.str() << ", wanted up to " << range.end.str();
    EXPECT_EQ(different, 0U);
}

} // namespace holdfast::test
