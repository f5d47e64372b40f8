#include "watch/channels/smtp.h"

#include "base/error.h"
#include "base/shared_library.h"
#include "watch/channels/http_post.h"
#include "watch/channels/message.h"
#include "watch/channels/mime.h"

#include <algorithm>
#include <cstring>

#include <curl/curl.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

// What of libcurl is used here, loaded with the first mail.
#define HOLDFAST_CURL(name)                                                                                  \
    decltype(&::curl_##name) name = library.function<decltype(::curl_##name)>("curl_" #name)
struct Curl {
    SharedLibrary library{"libcurl.so.4", "libcurl4"};
    HOLDFAST_CURL(global_init);
    HOLDFAST_CURL(slist_append);
    HOLDFAST_CURL(slist_free_all);
    HOLDFAST_CURL(easy_init);
    HOLDFAST_CURL(easy_setopt);
    HOLDFAST_CURL(easy_perform);
    HOLDFAST_CURL(easy_getinfo);
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
struct FreeHandle {
    void operator()(CURL* handle) const { curl().easy_cleanup(handle); }
};

// One mail on its way. No exception may pass through libcurl.
class Delivery {
  public:
    Delivery(const ChannelSettings& settings, std::string message, const Secret& password,
             std::stop_token stop)
        : settings_(settings),
          message_(std::move(message)),
          password_(password),
          stop_(std::move(stop)),
          handle_(curl().easy_init()) {
        if (!handle_) throw Error(ErrorCode::internal, "libcurl gives no handle");
    }

    void run() {
        set_up();
        const CURLcode result = curl().easy_perform(handle_.get());
        if (result != CURLE_OK) throw failure(result);
    }

  private:
    template <typename Value>
    void set(CURLoption option, Value value) {
        if (const CURLcode result = curl().easy_setopt(handle_.get(), option, value); result != CURLE_OK) {
            throw Error(ErrorCode::internal,
                        fmt::format("libcurl refuses an option: {}", curl().easy_strerror(result)));
        }
    }

    void set_up() {
        const bool tls = settings_.tls == ChannelSettings::Tls::tls;
        const std::string domain = settings_.from.substr(settings_.from.find('@') + 1);
        // The path is what we call ourselves.
        const std::string url = fmt::format("{}://{}/{}", tls ? "smtps" : "smtp", settings_.endpoint, domain);
        set(CURLOPT_ERRORBUFFER, error_text_);
        set(CURLOPT_URL, url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
        if (settings_.tls != ChannelSettings::Tls::none) set(CURLOPT_USE_SSL, long{CURLUSESSL_ALL});
        if (!settings_.ca_file.empty()) {
            set(CURLOPT_CAINFO, settings_.ca_file.c_str());
            set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        }
        const auto milliseconds =
            static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(settings_.timeout).count());
        set(CURLOPT_CONNECTTIMEOUT_MS, std::min(10'000L, milliseconds));
        set(CURLOPT_TIMEOUT_MS, milliseconds);
        if (!settings_.user.empty()) {
            set(CURLOPT_USERNAME, settings_.user.c_str());
            // libcurl keeps a copy of its own for as long as the handle lives.
            std::string password(as_text(password_.view()));
            set(CURLOPT_PASSWORD, password.c_str());
            wipe({reinterpret_cast<Byte*>(password.data()), password.size()});
        }
        const std::string from = "<" + settings_.from + ">";
        set(CURLOPT_MAIL_FROM, from.c_str());
        for (const std::string& address : settings_.to) append_recipient("<" + address + ">");
        set(CURLOPT_MAIL_RCPT, recipients_.get());
        // One address that is wrong keeps nobody else from being told.
        set(CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_READFUNCTION, &Delivery::on_read);
        set(CURLOPT_READDATA, static_cast<void*>(this));
        set(CURLOPT_WRITEFUNCTION, &Delivery::on_write);
        set(CURLOPT_XFERINFOFUNCTION, &Delivery::on_progress);
        set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
        set(CURLOPT_NOPROGRESS, 0L);
    }

    void append_recipient(const std::string& address) {
        curl_slist* longer = curl().slist_append(recipients_.get(), address.c_str());
        if (longer == nullptr) throw Error(ErrorCode::internal, "no memory for a recipient");
        (void)recipients_.release();
        recipients_.reset(longer);
    }

    static std::size_t on_read(char* out, std::size_t, std::size_t room, void* self_pointer) {
        auto& self = *static_cast<Delivery*>(self_pointer);
        const std::size_t size = std::min(room, self.message_.size() - self.sent_);
        std::memcpy(out, self.message_.data() + self.sent_, size);
        self.sent_ += size;
        return size;
    }
    static std::size_t on_write(const char*, std::size_t, std::size_t size, void*) { return size; }
    static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<Delivery*>(self)->stop_.stop_requested() ? 1 : 0;
    }

    Error failure(CURLcode result) const {
        long reply = 0;
        curl().easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &reply);
        const std::string said = error_text_[0] != '\0' ? error_text_ : curl().easy_strerror(result);
        const std::string what =
            without_secret(fmt::format("{}: {}", settings_.endpoint, said), as_text(password_.view()));
        switch (result) {
        case CURLE_ABORTED_BY_CALLBACK:
            return Error(ErrorCode::cancelled, "a mail over " + settings_.endpoint + " was stopped");
        case CURLE_OPERATION_TIMEDOUT:
            return Error(ErrorCode::timed_out, what, "is the server slow?", true);
        case CURLE_USE_SSL_FAILED:
            return Error(ErrorCode::unsupported, what + ": the server offers no TLS",
                         "choose tls = \"tls\" or a port with STARTTLS");
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
            return Error(ErrorCode::unavailable, what, "name the CA of the server's certificate (ca_file)");
        default:
            break;
        }
        // 4yz is "not now", 5yz is "never" (RFC 5321, 4.2.1).
        const bool refused = reply >= 500 && reply < 600;
        if (result == CURLE_LOGIN_DENIED && refused)
            return Error(ErrorCode::access_denied, what, "are user and password of the channel right?");
        if (refused) return Error(ErrorCode::unsupported, what, "see what the server says");
        return Error(ErrorCode::unavailable, what, "", true);
    }

    const ChannelSettings& settings_;
    const std::string message_;
    const Secret& password_;
    std::stop_token stop_;
    std::unique_ptr<curl_slist, FreeList> recipients_;
    std::unique_ptr<CURL, FreeHandle> handle_;
    std::size_t sent_ = 0;
    char error_text_[CURL_ERROR_SIZE] = {};
};

} // namespace

void SmtpChannel::send(const Notice& notice, std::stop_token stop) {
    const Secret password = settings_.user.empty() ? Secret() : settings_.secret.load(environment_);
    const std::string domain = settings_.from.substr(settings_.from.find('@') + 1);
    const Mail mail{.from = settings_.from,
                    .to = settings_.to,
                    .subject = notice_subject(notice),
                    .text = notice_text(notice),
                    .message_id = notice.id + "@" + domain,
                    .thread_id = notice.dedup_key + "@" + domain,
                    .date = notice.time};
    Delivery(settings_, mime_message(mail), password, std::move(stop)).run();
}

} // namespace holdfast
