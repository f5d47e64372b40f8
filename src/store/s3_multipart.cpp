#include "store/s3_multipart.h"

#include "base/error.h"
#include "store/store_decorator.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t most_parts = 10'000;

// One time limit over several requests. By the machine's clock, because it is libcurl's.
class Deadline {
  public:
    explicit Deadline(const CallOptions& options)
        : options_(options), end_(system_clock().steady() + options.timeout) {}

    CallOptions remaining(const std::string& what) const {
        CallOptions rest = options_;
        if (options_.timeout > Duration::zero()) {
            rest.timeout = end_ - system_clock().steady();
            if (rest.timeout <= Duration::zero())
                throw Error(ErrorCode::timed_out, what + ": out of time", "", true);
        }
        return rest;
    }

  private:
    const CallOptions& options_;
    Duration end_;
};

class Upload {
  public:
    Upload(S3Client& client, const std::string& key, const NameValues& headers, const CallOptions& options,
           const std::string& what)
        : client_(client), key_(key), deadline_(options), what_(what) {
        const S3Request request{.method = "POST", .key = key, .query = {{"uploads", ""}}, .headers = headers};
        id_ = parse_upload_id(client_.expect(request, deadline_.remaining(what_), what_).http.body);
    }

    void send(std::span<const ByteView> body) {
        const auto number = static_cast<unsigned>(done_.size() + 1);
        const S3Request request{.method = "PUT",
                                .key = key_,
                                .query = {{"partNumber", std::to_string(number)}, {"uploadId", id_}},
                                .body = body};
        const S3Answer answer = client_.expect(request, deadline_.remaining(what_), what_);
        std::string etag = answer.http.header("etag");
        if (etag.empty())
            throw Error(ErrorCode::unavailable, what_ + ": the store took a part and gave it no ETag");
        done_.push_back({number, std::move(etag)});
    }

    void complete() {
        const std::string document = render_complete_upload(done_);
        const ByteView body = as_bytes(document);
        const S3Request request{.method = "POST",
                                .key = key_,
                                .query = {{"uploadId", id_}},
                                .body = std::span<const ByteView>(&body, 1)};
        client_.expect(request, deadline_.remaining(what_), what_);
    }

    void abort() noexcept {
        try {
            // With a time of its own: the deadline, or the user, may be why we are here.
            client_.call({.method = "DELETE", .key = key_, .query = {{"uploadId", id_}}},
                         {.timeout = std::chrono::seconds(20)});
        } catch (const std::exception&) {
            // The failure that led here is the one to report.
        }
    }

  private:
    S3Client& client_;
    const std::string& key_;
    Deadline deadline_;
    const std::string& what_;
    std::string id_;
    std::vector<S3Part> done_;
};

} // namespace

std::vector<ByteView> slice_parts(std::span<const ByteView> parts, std::uint64_t offset,
                                  std::uint64_t length) {
    std::vector<ByteView> slice;
    for (const ByteView part : parts) {
        const std::uint64_t skipped = std::min<std::uint64_t>(offset, part.size());
        offset -= skipped;
        const std::uint64_t taken = std::min<std::uint64_t>(length, part.size() - skipped);
        length -= taken;
        if (taken > 0)
            slice.push_back(part.subspan(static_cast<std::size_t>(skipped), static_cast<std::size_t>(taken)));
    }
    return slice;
}

std::uint64_t part_size_for(std::uint64_t object_bytes, std::uint64_t wanted) {
    constexpr std::uint64_t mebibyte = 1 << 20;
    const std::uint64_t needed = (object_bytes + most_parts - 1) / most_parts;
    return std::max(wanted, (needed + mebibyte - 1) / mebibyte * mebibyte);
}

void put_multipart(S3Client& client, const std::string& key, std::span<const ByteView> parts,
                   const NameValues& headers, const CallOptions& options, const std::string& what) {
    const std::uint64_t size = total_size(parts);
    const std::uint64_t step = part_size_for(size, client.settings().part_bytes);
    Upload upload(client, key, headers, options, what);
    try {
        for (std::uint64_t offset = 0; offset < size; offset += step)
            upload.send(slice_parts(parts, offset, step));
        upload.complete();
    } catch (...) {
        upload.abort();
        throw;
    }
}

} // namespace holdfast
