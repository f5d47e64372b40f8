#include "store/s3_store.h"

#include "base/error.h"
#include "store/object_name.h"
#include "store/s3_multipart.h"
#include "store/store_decorator.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t largest_single_put_bytes = 5ULL << 30;

std::string mode_name(RetentionMode mode) {
    return mode == RetentionMode::compliance ? "COMPLIANCE" : "GOVERNANCE";
}

std::string without_quotes(const std::string& etag) {
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
    return etag;
}

// S3 says so in buckets that were made without object lock.
bool means_no_object_lock(const S3Answer& answer) { return answer.is(400, "InvalidRequest"); }

Error no_object_lock(const S3Client& client) {
    return Error(ErrorCode::unsupported, client.place() + " cannot lock objects",
                 "object lock must be switched on when a bucket is created");
}

void add_retention(NameValues& headers, const Retention& retention) {
    headers.emplace_back("x-amz-object-lock-mode", mode_name(retention.mode));
    headers.emplace_back("x-amz-object-lock-retain-until-date", to_rfc3339(retention_end(retention)));
}

std::uint64_t content_length(const S3Answer& answer, const std::string& what) {
    const std::string text = answer.http.header("content-length");
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
        throw Error(ErrorCode::corrupt, what + ": the answer has no Content-Length");
    }
    return value;
}

} // namespace

StoreCapabilities s3_driver_capabilities(bool at_aws) {
    StoreCapabilities capabilities{.put_if_absent = true,
                                   .consistent = true,
                                   .object_lock = true,
                                   .versions = true,
                                   .server_copy = true,
                                   .largest_object_bytes = 5ULL << 40};
    if (at_aws) {
        capabilities.tiers = {"STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR",
                              "GLACIER",  "DEEP_ARCHIVE"};
    }
    return capabilities;
}

S3Store::S3Store(S3Settings settings, Clock& clock)
    : client_(std::move(settings), clock),
      capabilities_(
          client_.settings().capabilities.value_or(s3_driver_capabilities(client_.settings().at_aws()))),
      base_(client_.settings().prefix.empty() ? "" : client_.settings().prefix + "/") {}

std::string S3Store::url() const {
    const S3Settings& settings = client_.settings();
    const std::string url =
        "s3://" + settings.bucket + (settings.prefix.empty() ? "" : "/" + settings.prefix);
    return settings.at_aws() ? url : url + "?endpoint=" + settings.endpoint;
}

StoreCapabilities S3Store::capabilities() const { return capabilities_; }

void S3Store::require(bool capability, std::string_view what) const {
    if (!capability) throw Error(ErrorCode::unsupported, fmt::format("{} cannot {}", client_.place(), what));
}

std::string S3Store::key_of(const std::string& name) const {
    check_object_name(name);
    return base_ + name;
}

// Nothing for keys that are no objects of ours: a bucket may hold others' things.
std::optional<std::string> S3Store::name_of(const std::string& key) const {
    if (!key.starts_with(base_) || !is_object_name(std::string_view(key).substr(base_.size())))
        return std::nullopt;
    return key.substr(base_.size());
}

std::optional<ObjectInfo> S3Store::info_of(const S3Object& object) const {
    std::optional<std::string> name = name_of(object.key);
    if (!name) return std::nullopt;
    return ObjectInfo{.name = std::move(*name),
                      .size_bytes = object.size_bytes,
                      .modified = object.modified,
                      .token = object.etag,
                      .tier = object.storage_class};
}

NameValues S3Store::put_headers(const PutOptions& put_options) const {
    require(!put_options.only_if_absent || capabilities_.put_if_absent, "put only if absent");
    require(!put_options.retention || capabilities_.object_lock, "lock objects");
    require(put_options.tier.empty() || std::ranges::count(capabilities_.tiers, put_options.tier) > 0,
            fmt::format("store in tier '{}'", put_options.tier));
    NameValues headers;
    if (put_options.only_if_absent) headers.emplace_back("if-none-match", "*");
    if (put_options.retention) add_retention(headers, *put_options.retention);
    if (!put_options.tier.empty()) headers.emplace_back("x-amz-storage-class", put_options.tier);
    return headers;
}

PutResult S3Store::put(const std::string& name, std::span<const ByteView> parts,
                       const PutOptions& put_options, const CallOptions& options) {
    const std::string key = key_of(name);
    const std::string what = "storing " + name;
    const NameValues headers = put_headers(put_options);
    const std::uint64_t size = total_size(parts);
    if (size > client_.settings().multipart_above_bytes && !put_options.only_if_absent) {
        put_multipart(client_, key, parts, headers, options, what);
        return PutResult::stored;
    }
    require(size <= largest_single_put_bytes, "put more than 5 GiB only if absent");
    const S3Answer answer = client_.call({.method = "PUT",
                                          .key = key,
                                          .headers = headers,
                                          .body = parts,
                                          .with_md5 = put_options.retention.has_value()},
                                         options);
    if (answer.succeeded()) return PutResult::stored;
    if (put_options.only_if_absent && answer.http.status == 412) return PutResult::already_there;
    if (put_options.retention && means_no_object_lock(answer)) throw no_object_lock(client_);
    throw client_.error_of(answer, what);
}

std::optional<Bytes> S3Store::get(const std::string& name, ByteRange range, const CallOptions& options) {
    return read(name, "", range, options);
}

std::optional<Bytes> S3Store::read(const std::string& name, const std::string& version, ByteRange range,
                                   const CallOptions& options) {
    S3Request request{.key = key_of(name)};
    const std::string what = "reading " + name;
    // S3 has no empty ranges, and numbers beyond those it can count mean nothing to it: one byte stands in.
    const bool nothing_wanted = range.length == 0 || range.offset > INT64_MAX;
    const ByteRange asked = nothing_wanted ? ByteRange{0, 1} : range;
    const bool whole = asked.offset == 0 && asked.length == UINT64_MAX;
    request.largest_answer_bytes = client_.settings().largest_read_bytes;
    if (!version.empty()) request.query.emplace_back("versionId", version);
    if (!whole) {
        const bool to_end = asked.length > INT64_MAX - asked.offset;
        request.headers.emplace_back(
            "range", to_end ? fmt::format("bytes={}-", asked.offset)
                            : fmt::format("bytes={}-{}", asked.offset, asked.offset + asked.length - 1));
        constexpr std::uint64_t room_for_errors = 1 << 20;
        if (!to_end) request.largest_answer_bytes = std::max(asked.length, room_for_errors);
    }
    S3Answer answer = client_.call(request, options);
    Bytes& body = answer.http.body;
    if (answer.is(404, "NoSuchKey") ||
        (!version.empty() && (answer.is(404, "NoSuchVersion") || answer.http.status == 405))) {
        return std::nullopt;
    }
    if (answer.http.status == 416) return Bytes();
    if (!answer.succeeded()) throw client_.error_of(answer, what);
    if (nothing_wanted) return Bytes();
    if (whole) return std::move(body);
    if (answer.http.status == 206) {
        const std::string wanted = fmt::format("bytes {}-{}/", asked.offset, asked.offset + body.size() - 1);
        if (body.size() > asked.length || !answer.http.header("content-range").starts_with(wanted)) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("{} in {}: the answer is not the range that was asked for", what,
                                    client_.place()));
        }
        return std::move(body);
    }
    // A server may pass over a range and send everything.
    const std::uint64_t begin = std::min<std::uint64_t>(asked.offset, body.size());
    const std::uint64_t length = std::min<std::uint64_t>(asked.length, body.size() - begin);
    const ByteView slice =
        ByteView(body).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(length));
    return Bytes(slice.begin(), slice.end());
}

std::optional<ObjectInfo> S3Store::head(const std::string& name, const CallOptions& options) {
    const std::string what = "asking for " + name;
    const S3Answer answer = client_.call({.method = "HEAD", .key = key_of(name)}, options);
    if (answer.http.status == 404) return std::nullopt;
    if (!answer.succeeded()) throw client_.error_of(answer, what);
    const std::string storage_class = answer.http.header("x-amz-storage-class");
    return ObjectInfo{.name = name,
                      .size_bytes = content_length(answer, what),
                      .modified = parse_http_date(answer.http.header("last-modified")).value_or(Timestamp{}),
                      .token = without_quotes(answer.http.header("etag")),
                      .tier = storage_class.empty() ? "STANDARD" : storage_class};
}

bool S3Store::visit_page(const S3ObjectPage& page,
                         const std::function<bool(const ObjectInfo&)>& visit) const {
    return std::ranges::all_of(page.objects, [&](const S3Object& object) {
        const std::optional<ObjectInfo> info = info_of(object);
        return !info || visit(*info);
    });
}

void S3Store::list(const std::string& prefix, const std::string& after,
                   const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    check_object_prefix(prefix);
    std::string token;
    do {
        S3Request request{
            .query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", base_ + prefix}}};
        if (!token.empty())
            request.query.emplace_back("continuation-token", token);
        else if (!after.empty())
            request.query.emplace_back("start-after", base_ + after);
        const S3Answer answer = client_.expect(request, options, fmt::format("listing '{}'", prefix));
        S3ObjectPage page = parse_object_page(answer.http.body);
        if (!visit_page(page, visit) || !page.truncated) return;
        if (page.continuation_token == token)
            throw Error(ErrorCode::corrupt, client_.place() + " repeats a page of a listing");
        token = std::move(page.continuation_token);
    } while (true);
}

void S3Store::remove(const std::string& name, const CallOptions& options) {
    const S3Answer answer = client_.call({.method = "DELETE", .key = key_of(name)}, options);
    if (!answer.succeeded() && !answer.is(404, "NoSuchKey"))
        throw client_.error_of(answer, "removing " + name);
}

void S3Store::retain(const std::string& name, const Retention& wanted, const CallOptions& options) {
    Retention merged = wanted;
    if (const std::optional<Retention> current = retention(name, options)) {
        if (current->mode == RetentionMode::compliance) merged.mode = RetentionMode::compliance;
        merged.until = std::max(merged.until, current->until);
        if (merged.mode == current->mode && retention_end(merged) == retention_end(*current)) return;
    }
    const std::string document = render_retention(merged);
    const ByteView body = as_bytes(document);
    const S3Answer answer = client_.call({.method = "PUT",
                                          .key = key_of(name),
                                          .query = {{"retention", ""}},
                                          .body = std::span<const ByteView>(&body, 1),
                                          .with_md5 = true},
                                         options);
    if (means_no_object_lock(answer)) throw no_object_lock(client_);
    if (!answer.succeeded()) throw client_.error_of(answer, "locking " + name);
}

std::optional<Retention> S3Store::retention(const std::string& name, const CallOptions& options) {
    require(capabilities_.object_lock, "lock objects");
    const S3Answer answer = client_.call({.key = key_of(name), .query = {{"retention", ""}}}, options);
    // AWS says the first, radosgw the second.
    if (answer.is(404, "NoSuchObjectLockConfiguration") ||
        answer.is(404, "ObjectLockConfigurationNotFoundError")) {
        return std::nullopt;
    }
    if (means_no_object_lock(answer)) throw no_object_lock(client_);
    if (!answer.succeeded()) throw client_.error_of(answer, "asking for the lock of " + name);
    try {
        return parse_retention(answer.http.body);
    } catch (const Error&) {
        // A server that does not know locks passes over ?retention and sends the object. It would as gladly
        // overwrite it, which is why retain() always asks here first.
        throw no_object_lock(client_);
    }
}

bool S3Store::visit_page(const S3VersionPage& page,
                         const std::function<bool(const ObjectVersion&)>& visit) const {
    return std::ranges::all_of(page.versions, [&](const S3Version& version) {
        std::optional<ObjectInfo> info = info_of(version.object);
        return !info || visit({std::move(*info), version.version, version.latest, version.deleted});
    });
}

void S3Store::list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                            const CallOptions& options) {
    check_object_prefix(prefix);
    require(capabilities_.versions, "keep versions");
    std::string key;
    std::string version;
    do {
        S3Request request{.query = {{"versions", ""}, {"encoding-type", "url"}, {"prefix", base_ + prefix}}};
        if (!key.empty()) request.query.emplace_back("key-marker", key);
        if (!version.empty()) request.query.emplace_back("version-id-marker", version);
        const S3Answer answer =
            client_.expect(request, options, fmt::format("listing versions of '{}'", prefix));
        S3VersionPage page = parse_version_page(answer.http.body);
        if (!visit_page(page, visit) || !page.truncated) return;
        if (page.next_key == key && page.next_version == version) {
            throw Error(ErrorCode::corrupt, client_.place() + " repeats a page of a listing");
        }
        key = std::move(page.next_key);
        version = std::move(page.next_version);
    } while (true);
}

std::optional<Bytes> S3Store::get_version(const std::string& name, const std::string& version,
                                          ByteRange range, const CallOptions& options) {
    require(capabilities_.versions, "keep versions");
    return read(name, version, range, options);
}

void S3Store::remove_version(const std::string& name, const std::string& version,
                             const CallOptions& options) {
    require(capabilities_.versions, "keep versions");
    const S3Answer answer =
        client_.call({.method = "DELETE", .key = key_of(name), .query = {{"versionId", version}}}, options);
    if (answer.succeeded() || answer.is(404, "NoSuchKey") || answer.is(404, "NoSuchVersion")) return;
    throw client_.error_of(answer, fmt::format("removing version {} of {}", version, name));
}

void S3Store::copy_to(const std::string& from, const std::string& to, NameValues headers, bool with_md5,
                      const CallOptions& options) {
    headers.emplace_back("x-amz-copy-source",
                         uri_encode("/" + client_.settings().bucket + "/" + key_of(from), true));
    client_.expect({.method = "PUT", .key = key_of(to), .headers = std::move(headers), .with_md5 = with_md5},
                   options, fmt::format("copying {} to {}", from, to));
}

PutResult S3Store::copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                        const CallOptions& options) {
    require(capabilities_.server_copy, "copy objects");
    require(!put_options.only_if_absent, "copy only if absent");
    copy_to(from, to, put_headers(put_options), put_options.retention.has_value(), options);
    return PutResult::stored;
}

void S3Store::set_tier(const std::string& name, const std::string& tier, const CallOptions& options) {
    PutOptions put_options{.tier = tier};
    require(!tier.empty() && std::ranges::count(capabilities_.tiers, tier) > 0,
            fmt::format("store in tier '{}'", tier));
    if (capabilities_.object_lock) {
        try {
            put_options.retention = retention(name, options);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::unsupported) throw;
        }
    }
    copy_to(name, name, put_headers(put_options), put_options.retention.has_value(), options);
}

ThawResult S3Store::thaw(const std::string& name, Duration keep, const CallOptions& options) {
    require(!capabilities_.tiers.empty(), "move objects between tiers");
    const auto days = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::days>(keep).count());
    const std::string document = render_restore(static_cast<unsigned>(days), "Standard");
    const ByteView body = as_bytes(document);
    const S3Answer answer = client_.call({.method = "POST",
                                          .key = key_of(name),
                                          .query = {{"restore", ""}},
                                          .body = std::span<const ByteView>(&body, 1),
                                          .with_md5 = true},
                                         options);
    if (answer.http.status == 202 || answer.is(409, "RestoreAlreadyInProgress")) return ThawResult::pending;
    // An object that was never cold has the wrong state to be brought back.
    if (answer.http.status == 200 || answer.is(403, "InvalidObjectState")) return ThawResult::ready;
    throw client_.error_of(answer, "thawing " + name);
}

} // namespace holdfast
