#include "store/http_client.h"

#include "base/error.h"
#include "base/shared_library.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <curl/curl.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

// What we use of libcurl, which is loaded with the first client.
#define HOLDFAST_CURL(name)                                                                                  \
    decltype(&::curl_##name) name = library.function<decltype(::curl_##name)>("curl_" #name)
struct Curl {
    SharedLibrary library{"libcurl.so.4", "libcurl4"};
    HOLDFAST_CURL(global_init);
    HOLDFAST_CURL(getdate);
    HOLDFAST_CURL(slist_append);
    HOLDFAST_CURL(slist_free_all);
    HOLDFAST_CURL(easy_init);
    HOLDFAST_CURL(easy_setopt);
    HOLDFAST_CURL(easy_perform);
    HOLDFAST_CURL(easy_getinfo);
    HOLDFAST_CURL(easy_reset);
    HOLDFAST_CURL(easy_strerror);
    HOLDFAST_CURL(easy_cleanup);

    Curl() {
        if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            throw Error(ErrorCode::internal, "libcurl did not start");
    }
};
#undef HOLDFAST_CURL

const Curl& curl() {
    static const Curl loaded;
    return loaded;
}

struct FreeList {
    void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};

long milliseconds_of(Duration duration) {
    return static_cast<long>(
        std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(duration).count()));
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

// "https://host:port" of a URL.
std::string origin_of(const std::string& url) {
    const std::size_t host = url.find("://");
    return host == std::string::npos ? url : url.substr(0, url.find('/', host + 3));
}

} // namespace

// One request on one handle: the callbacks of libcurl and what they need. No exception may pass through
// libcurl.
class HttpClient::Transfer {
  public:
    Transfer(CURL* curl, const HttpRequest& request, const CallOptions& options,
             const HttpClientSettings& settings)
        : curl_(curl), request_(request), options_(options), settings_(settings) {}

    HttpResponse run() {
        set_up();
        const CURLcode result = curl().easy_perform(curl_);
        if (result != CURLE_OK) throw failure(result);
        long status = 0;
        curl().easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
        response_.status = static_cast<int>(status);
        return std::move(response_);
    }

  private:
    template <typename Value>
    void set(CURLoption option, Value value) {
        if (const CURLcode result = curl().easy_setopt(curl_, option, value); result != CURLE_OK) {
            throw Error(ErrorCode::internal,
                        fmt::format("libcurl refuses an option: {}", curl().easy_strerror(result)));
        }
    }

    void set_up() {
        error_text_[0] = '\0';
        set(CURLOPT_ERRORBUFFER, error_text_);
        set(CURLOPT_URL, request_.url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_FOLLOWLOCATION, 0L);
        set(CURLOPT_PATH_AS_IS, 1L); // what was signed is what is sent
        set(CURLOPT_SSLVERSION, settings_.least_tls == TlsVersion::tls_1_3 ? long{CURL_SSLVERSION_TLSv1_3}
                                                                           : long{CURL_SSLVERSION_TLSv1_2});
        if (!settings_.ca_file.empty()) {
            set(CURLOPT_CAINFO, settings_.ca_file.c_str());
            set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        }
        set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds_of(settings_.connect_timeout));
        const Duration timeout =
            options_.timeout > Duration::zero() ? options_.timeout : settings_.default_timeout;
        set(CURLOPT_TIMEOUT_MS, milliseconds_of(timeout));
        set(CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(CURLOPT_LOW_SPEED_TIME, std::max(1L, milliseconds_of(settings_.stall_timeout) / 1000));
        set(CURLOPT_BUFFERSIZE, 256L << 10);
        set(CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
        set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
        set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
        set(CURLOPT_HEADERDATA, static_cast<void*>(this));
        set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
        set(CURLOPT_WRITEDATA, static_cast<void*>(this));
        set_up_method();
        set_up_headers();
    }

    void set_up_method() {
        if (request_.method == "HEAD") {
            set(CURLOPT_NOBODY, 1L);
            return;
        }
        if (request_.method == "PUT" || request_.method == "POST" || request_.method == "PATCH") {
            curl_off_t size = 0;
            for (const ByteView part : request_.body) size += static_cast<curl_off_t>(part.size());
            set(CURLOPT_UPLOAD, 1L);
            set(CURLOPT_INFILESIZE_LARGE, size);
            set(CURLOPT_READFUNCTION, &Transfer::on_read);
            set(CURLOPT_READDATA, static_cast<void*>(this));
            // A kept connection that the server has closed meanwhile makes libcurl begin again.
            set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
            set(CURLOPT_SEEKDATA, static_cast<void*>(this));
        }
        set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }

    void set_up_headers() {
        // Waiting for "100 Continue" costs a round trip for each object.
        append_header("Expect:");
        for (const auto& [name, value] : request_.headers) {
            append_header(value.empty() ? name + ";" : name + ": " + value);
        }
        set(CURLOPT_HTTPHEADER, header_list_.get());
    }

    void append_header(const std::string& line) {
        if (line.find_first_of("\r\n") != std::string::npos) {
            throw Error(ErrorCode::usage, "a header of an HTTP request holds a line break");
        }
        curl_slist* longer = curl().slist_append(header_list_.get(), line.c_str());
        if (longer == nullptr) throw Error(ErrorCode::internal, "no memory for a header");
        (void)header_list_.release();
        header_list_.reset(longer);
    }

    static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<Transfer*>(self)->options_.stop.stop_requested() ? 1 : 0;
    }

    static std::size_t on_header(const char* data, std::size_t, std::size_t size, void* self_pointer) {
        auto& self = *static_cast<Transfer*>(self_pointer);
        const std::string_view line(data, size);
        // A status line begins the headers of an answer; those of an interim one before it do not count.
        if (line.starts_with("HTTP/")) {
            self.response_.headers.clear();
            self.header_bytes_ = 0;
        }
        constexpr std::size_t largest_headers_bytes = 256 << 10;
        self.header_bytes_ += size;
        if (self.header_bytes_ > largest_headers_bytes) {
            self.too_large_ = true;
            return 0;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return size;
        std::string name(line.substr(0, colon));
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        self.response_.headers[name] = trimmed(line.substr(colon + 1));
        return size;
    }

    static std::size_t on_body(const char* data, std::size_t, std::size_t size, void* self_pointer) {
        auto& self = *static_cast<Transfer*>(self_pointer);
        Bytes& body = self.response_.body;
        if (size > self.request_.largest_answer_bytes - body.size()) {
            self.too_large_ = true;
            return 0;
        }
        if (body.empty()) {
            curl_off_t announced = -1;
            curl().easy_getinfo(self.curl_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
            if (announced > 0) {
                body.reserve(static_cast<std::size_t>(
                    std::min(self.request_.largest_answer_bytes, static_cast<std::uint64_t>(announced))));
            }
        }
        const auto* bytes = reinterpret_cast<const Byte*>(data);
        body.insert(body.end(), bytes, bytes + size);
        return size;
    }

    static std::size_t on_read(char* out, std::size_t, std::size_t room, void* self_pointer) {
        auto& self = *static_cast<Transfer*>(self_pointer);
        while (self.part_ < self.request_.body.size()) {
            const ByteView rest = self.request_.body[self.part_].subspan(self.part_offset_);
            if (rest.empty()) {
                ++self.part_;
                self.part_offset_ = 0;
                continue;
            }
            const std::size_t size = std::min(room, rest.size());
            std::memcpy(out, rest.data(), size);
            self.part_offset_ += size;
            return size;
        }
        return 0;
    }

    static int on_seek(void* self_pointer, curl_off_t offset, int origin) {
        if (origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
        auto& self = *static_cast<Transfer*>(self_pointer);
        self.part_ = 0;
        auto left = static_cast<std::size_t>(offset);
        while (self.part_ < self.request_.body.size() && left > self.request_.body[self.part_].size()) {
            left -= self.request_.body[self.part_++].size();
        }
        self.part_offset_ = left;
        return CURL_SEEKFUNC_OK;
    }

    Error failure(CURLcode result) const {
        const std::string origin = origin_of(request_.url);
        const std::string text = error_text_[0] != '\0' ? error_text_ : curl().easy_strerror(result);
        const std::string what = fmt::format("{}: {}", origin, text);
        switch (result) {
        case CURLE_ABORTED_BY_CALLBACK:
            return Error(ErrorCode::cancelled, "a request to " + origin + " was stopped");
        case CURLE_OPERATION_TIMEDOUT:
            return Error(ErrorCode::timed_out, what, "is the connection slow?", true);
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return Error(ErrorCode::unavailable, what, "check the host name of the endpoint, and DNS", true);
        case CURLE_COULDNT_CONNECT:
            return Error(ErrorCode::unavailable, what, "check the endpoint, and that its server runs", true);
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
            return Error(ErrorCode::unavailable, what,
                         "name the CA that signed the server's certificate (ca_file)");
        case CURLE_SSL_CONNECT_ERROR:
            return handshake_failure(origin, text);
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_URL_MALFORMAT:
            return Error(ErrorCode::usage, what, "write the endpoint as https://host or http://host:port");
        case CURLE_WRITE_ERROR:
            if (too_large_)
                return Error(ErrorCode::corrupt, origin + " answers with more than was asked for");
            return Error(ErrorCode::internal, what);
        default:
            return Error(ErrorCode::unavailable, what, "", true);
        }
    }

    // Servers say it with an alert, or by answering with an older version; those that end the connection
    // instead look like any trouble on the way.
    Error handshake_failure(const std::string& origin, const std::string& text) const {
        const bool too_old =
            std::ranges::any_of(std::array{"protocol version", "unsupported protocol", "wrong ssl version"},
                                [&](const char* words) { return text.find(words) != std::string::npos; });
        if (text.find("wrong version number") != std::string::npos) {
            return Error(ErrorCode::unavailable, fmt::format("{}: {}", origin, text),
                         "what answers there speaks no TLS: is it http://?");
        }
        if (!too_old) {
            return Error(ErrorCode::unavailable, fmt::format("{}: {}", origin, text), settings_.old_tls_hint,
                         true);
        }
        return Error(ErrorCode::unavailable,
                     fmt::format("{} does not speak TLS {} ({})", origin,
                                 settings_.least_tls == TlsVersion::tls_1_3 ? "1.3" : "1.2 or later", text),
                     settings_.old_tls_hint);
    }

    CURL* curl_;
    const HttpRequest& request_;
    const CallOptions& options_;
    const HttpClientSettings& settings_;
    std::unique_ptr<curl_slist, FreeList> header_list_;
    HttpResponse response_;
    std::size_t header_bytes_ = 0;
    std::size_t part_ = 0;
    std::size_t part_offset_ = 0;
    bool too_large_ = false;
    char error_text_[CURL_ERROR_SIZE] = {};
};

void HttpClient::FreeHandle::operator()(void* handle) const { curl().easy_cleanup(handle); }

HttpClient::HttpClient(HttpClientSettings settings) : settings_(std::move(settings)) { curl(); }
HttpClient::~HttpClient() = default;

HttpClient::Handle HttpClient::take_handle() {
    {
        const std::scoped_lock lock(mutex_);
        if (!idle_.empty()) {
            Handle handle = std::move(idle_.back());
            idle_.pop_back();
            return handle;
        }
    }
    Handle handle(curl().easy_init());
    if (!handle) throw Error(ErrorCode::internal, "libcurl gives no handle");
    return handle;
}

void HttpClient::give_back(Handle handle) {
    // Forgets the options, which point into the request; keeps the connection.
    curl().easy_reset(handle.get());
    const std::scoped_lock lock(mutex_);
    if (idle_.size() < settings_.kept_connections) idle_.push_back(std::move(handle));
}

HttpResponse HttpClient::perform(const HttpRequest& request, const CallOptions& options) {
    if (options.stop.stop_requested()) throw Error(ErrorCode::cancelled, "a request was stopped");
    Handle handle = take_handle();
    HttpResponse response = Transfer(handle.get(), request, options, settings_).run();
    give_back(std::move(handle));
    return response;
}

std::string HttpResponse::header(const std::string& lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? std::string() : found->second;
}

double HttpResponse::retry_after_seconds(Timestamp now) const {
    const std::string value = header("retry-after");
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error == std::errc() && end == value.data() + value.size()) return seconds;
    const std::optional<Timestamp> date = parse_http_date(value);
    return date ? std::max(0.0, std::chrono::duration<double>(*date - now).count()) : 0;
}

std::optional<Timestamp> parse_http_date(const std::string& text) {
    const time_t seconds = curl().getdate(text.c_str(), nullptr);
    // Also -1, for what is no date. A Timestamp ends in 2262; and from 1970 on, the distance between two of
    // them fits a Duration.
    constexpr auto last =
        std::chrono::floor<std::chrono::seconds>(Timestamp::max()).time_since_epoch().count();
    if (seconds < 0 || seconds > last) return std::nullopt;
    return Timestamp(std::chrono::seconds(seconds));
}

} // namespace holdfast
