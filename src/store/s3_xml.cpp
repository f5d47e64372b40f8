#include "store/s3_xml.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <pugixml.hpp>

namespace holdfast {

namespace {

[[noreturn]] void fail(std::string_view why) {
    throw Error(ErrorCode::corrupt, fmt::format("an answer in XML is malformed: {}", why),
                "is the endpoint an S3 server, and is there a proxy before it?");
}

// The document with its root, which must be called `root`.
class Document {
  public:
    Document(ByteView bytes, const char* root) {
        // Comments, declarations and document types are passed over; entities beyond the five of XML stay as
        // text.
        const pugi::xml_parse_result result =
            document_.load_buffer(bytes.data(), bytes.size(),
                                  pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
        if (!result) fail(result.description());
        root_ = document_.document_element();
        if (std::strcmp(root_.name(), root) != 0) fail(fmt::format("it is not a {}", root));
    }
    pugi::xml_node root() const { return root_; }

  private:
    pugi::xml_document document_;
    pugi::xml_node root_;
};

std::string text_of(pugi::xml_node parent, const char* name) {
    const pugi::xml_node node = parent.child(name);
    if (!node) fail(fmt::format("it has no {}", name));
    return node.text().get();
}

std::string optional_text_of(pugi::xml_node parent, const char* name) {
    return parent.child(name).text().get();
}

bool flag_of(pugi::xml_node parent, const char* name) {
    const std::string text = text_of(parent, name);
    if (text != "true" && text != "false") fail(fmt::format("{} is neither true nor false", name));
    return text == "true";
}

std::uint64_t number_of(pugi::xml_node parent, const char* name) {
    const std::string text = text_of(parent, name);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        fail(fmt::format("{} is not a number", name));
    return value;
}

Timestamp time_of(pugi::xml_node parent, const char* name) {
    try {
        return from_rfc3339(text_of(parent, name));
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) throw;
        fail(fmt::format("{} is not a time", name));
    }
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

std::string url_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            decoded += ' ';
        } else if (text[i] != '%') {
            decoded += text[i];
        } else {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) fail("a key is not encoded well");
            decoded += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return decoded;
}

// Decodes keys when the document says that they are encoded.
class KeyReader {
  public:
    explicit KeyReader(pugi::xml_node root) : encoded_(optional_text_of(root, "EncodingType") == "url") {}
    std::string operator()(const std::string& key) const { return encoded_ ? url_decoded(key) : key; }

  private:
    bool encoded_;
};

std::string without_quotes(std::string etag) {
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
    return etag;
}

S3Object object_of(pugi::xml_node node, const KeyReader& key) {
    return {.key = key(text_of(node, "Key")),
            .size_bytes = number_of(node, "Size"),
            .modified = time_of(node, "LastModified"),
            .etag = without_quotes(text_of(node, "ETag")),
            .storage_class = optional_text_of(node, "StorageClass")};
}

} // namespace

S3ObjectPage parse_object_page(ByteView bytes) {
    const Document document(bytes, "ListBucketResult");
    const KeyReader key(document.root());
    S3ObjectPage page;
    for (const pugi::xml_node node : document.root().children("Contents"))
        page.objects.push_back(object_of(node, key));
    page.truncated = flag_of(document.root(), "IsTruncated");
    if (page.truncated) page.continuation_token = text_of(document.root(), "NextContinuationToken");
    if (page.truncated && page.continuation_token.empty()) fail("there is more, but it does not say where");
    return page;
}

S3VersionPage parse_version_page(ByteView bytes) {
    const Document document(bytes, "ListVersionsResult");
    const KeyReader key(document.root());
    S3VersionPage page;
    for (const pugi::xml_node node : document.root().children()) {
        const bool deleted = std::strcmp(node.name(), "DeleteMarker") == 0;
        if (!deleted && std::strcmp(node.name(), "Version") != 0) continue;
        S3Version version{
            .object = {}, .version = text_of(node, "VersionId"), .latest = flag_of(node, "IsLatest")};
        version.deleted = deleted;
        if (deleted) {
            version.object.key = key(text_of(node, "Key"));
            version.object.modified = time_of(node, "LastModified");
        } else {
            version.object = object_of(node, key);
        }
        page.versions.push_back(std::move(version));
    }
    page.truncated = flag_of(document.root(), "IsTruncated");
    if (page.truncated) {
        page.next_key = key(text_of(document.root(), "NextKeyMarker"));
        page.next_version = optional_text_of(document.root(), "NextVersionIdMarker");
        if (page.next_key.empty()) fail("there is more, but it does not say where");
    }
    return page;
}

std::string parse_upload_id(ByteView bytes) {
    const Document document(bytes, "InitiateMultipartUploadResult");
    std::string id = text_of(document.root(), "UploadId");
    if (id.empty()) fail("its UploadId is empty");
    return id;
}

Retention parse_retention(ByteView bytes) {
    const Document document(bytes, "Retention");
    const std::string mode = text_of(document.root(), "Mode");
    if (mode != "GOVERNANCE" && mode != "COMPLIANCE") fail("Mode is unknown");
    return {.mode = mode == "COMPLIANCE" ? RetentionMode::compliance : RetentionMode::governance,
            .until = time_of(document.root(), "RetainUntilDate")};
}

std::optional<S3ErrorBody> parse_s3_error(ByteView bytes) {
    try {
        const Document document(bytes, "Error");
        return S3ErrorBody{text_of(document.root(), "Code"), optional_text_of(document.root(), "Message")};
    } catch (const Error&) {
        return std::nullopt;
    }
}

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        default:
            out += c;
        }
    }
    return out;
}

constexpr std::string_view name_space = "http://s3.amazonaws.com/doc/2006-03-01/";

} // namespace

std::string render_complete_upload(const std::vector<S3Part>& parts) {
    std::string document = fmt::format(R"(<CompleteMultipartUpload xmlns="{}">)", name_space);
    for (const S3Part& part : parts) {
        document += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", part.number,
                                escaped(part.etag));
    }
    return document + "</CompleteMultipartUpload>";
}

Timestamp retention_end(const Retention& retention) {
    return std::chrono::ceil<std::chrono::seconds>(retention.until);
}

std::string render_retention(const Retention& retention) {
    return fmt::format(
        R"(<Retention xmlns="{}"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>)",
        name_space, retention.mode == RetentionMode::compliance ? "COMPLIANCE" : "GOVERNANCE",
        to_rfc3339(retention_end(retention)));
}

std::string render_restore(unsigned days, std::string_view tier) {
    return fmt::format(
        R"(<RestoreRequest xmlns="{}"><Days>{}</Days><GlacierJobParameters><Tier>{}</Tier></GlacierJobParameters></RestoreRequest>)",
        name_space, days, escaped(tier));
}

} // namespace holdfast
