#include "store/s3_multipart.h"
#include "store/s3_xml.h"
#include "support/store_conformance.h"

namespace holdfast::test {

namespace {

std::string object_xml(const std::string& key, const std::string& size = "42") {
    return "<Contents><Key>" + key +
           "</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;abc&quot;</ETag><Size>" +
           size + "</Size><StorageClass>STANDARD</StorageClass></Contents>";
}

std::string page_xml(const std::string& inner, const std::string& truncated = "false") {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
           "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
           "<IsTruncated>" +
           truncated + "</IsTruncated>" + inner + "</ListBucketResult>";
}

TEST(S3Xml, ReadsAPageOfObjects) {
    const S3ObjectPage page =
        parse_object_page(as_bytes(page_xml(object_xml("a/b") + object_xml("c&amp;d%20+") +
                                                "<NextContinuationToken>to ken</NextContinuationToken>",
                                            "true")));
    ASSERT_EQ(page.objects.size(), 2U);
    EXPECT_EQ(page.objects[0].key, "a/b");
    EXPECT_EQ(page.objects[0].size_bytes, 42U);
    EXPECT_EQ(page.objects[0].etag, "abc");
    EXPECT_EQ(page.objects[0].modified, from_rfc3339("2026-01-02T03:04:05.678Z"));
    EXPECT_EQ(page.objects[0].storage_class, "STANDARD");
    EXPECT_EQ(page.objects[1].key, "c&d%20+") << "only decoded when the answer says that it is encoded";
    EXPECT_TRUE(page.truncated);
    EXPECT_EQ(page.continuation_token, "to ken");
    const S3ObjectPage encoded = parse_object_page(
        as_bytes(page_xml("<EncodingType>url</EncodingType>" + object_xml("c%26d%20+%2B"))));
    EXPECT_EQ(encoded.objects.at(0).key, "c&d  +");
}

TEST(S3Xml, RefusesWhatIsNoPage) {
    for (const std::string& document :
         {std::string(), std::string("<html><body>Welcome</body></html>"),
          std::string("<Error><Code>X</Code></Error>"), page_xml(object_xml("a")).substr(0, 150),
          page_xml(object_xml("a", "-1")), page_xml(object_xml("a", "1e3")), page_xml(object_xml("a", "")),
          page_xml(object_xml("a", "99999999999999999999")), page_xml("", "maybe"), page_xml("", "true"),
          page_xml("<NextContinuationToken/>", "true"), page_xml("<Contents><Size>1</Size></Contents>"),
          page_xml("<EncodingType>url</EncodingType>" + object_xml("%4")),
          page_xml("<EncodingType>url</EncodingType>" + object_xml("%zz"))}) {
        EXPECT_EQ(error_code_of([&] { parse_object_page(as_bytes(document)); }), ErrorCode::corrupt)
            << document;
    }
}

TEST(S3Xml, DoesNotExpandEntities) {
    const std::string document =
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY secret SYSTEM \"file:///etc/passwd\">]>" +
        page_xml(object_xml("&secret;")).substr(39);
    EXPECT_EQ(parse_object_page(as_bytes(document)).objects.at(0).key, "&secret;");
}

TEST(S3Xml, ReadsAPageOfVersions) {
    const std::string common = "<LastModified>2026-01-02T03:04:05Z</LastModified>";
    const S3VersionPage page = parse_version_page(
        as_bytes("<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>"
                 "<NextVersionIdMarker>v9</NextVersionIdMarker>"
                 "<DeleteMarker><Key>a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>" +
                 common +
                 "</DeleteMarker>"
                 "<Version><Key>a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>" +
                 common + "<ETag>\"e\"</ETag><Size>7</Size></Version></ListVersionsResult>"));
    ASSERT_EQ(page.versions.size(), 2U);
    EXPECT_TRUE(page.versions[0].deleted && page.versions[0].latest);
    EXPECT_EQ(page.versions[0].version, "v2");
    EXPECT_FALSE(page.versions[1].deleted || page.versions[1].latest);
    EXPECT_EQ(page.versions[1].object.size_bytes, 7U);
    EXPECT_EQ(page.next_key, "b");
    EXPECT_EQ(page.next_version, "v9");
    EXPECT_EQ(error_code_of([] {
                  parse_version_page(
                      as_bytes("<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"));
              }),
              ErrorCode::corrupt);
}

TEST(S3Xml, ReadsErrorsAndNeverFails) {
    const auto error =
        parse_s3_error(as_bytes("<Error><Code>NoSuchKey</Code><Message>no &lt;key&gt;</Message></Error>"));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, "NoSuchKey");
    EXPECT_EQ(error->message, "no <key>");
    EXPECT_FALSE(parse_s3_error(as_bytes("")));
    EXPECT_FALSE(parse_s3_error(as_bytes("Bad Gateway")));
    EXPECT_FALSE(parse_s3_error(as_bytes("<Error/>")));
}

TEST(S3Xml, ReadsAndWritesRetention) {
    const Retention retention{RetentionMode::compliance, from_rfc3339("2030-01-01T00:00:00.5Z")};
    const Retention read = parse_retention(as_bytes(render_retention(retention)));
    EXPECT_EQ(read.mode, RetentionMode::compliance);
    EXPECT_EQ(read.until, from_rfc3339("2030-01-01T00:00:01Z")) << "no lock ends early";
    for (const std::string document :
         {"<Retention><Mode>OTHER</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>",
          "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>soon</RetainUntilDate></Retention>",
          "<Retention/>"}) {
        EXPECT_EQ(error_code_of([&] { parse_retention(as_bytes(document)); }), ErrorCode::corrupt)
            << document;
    }
}

TEST(S3Xml, WritesRequests) {
    const std::string complete = render_complete_upload({{1, "\"a\""}, {2, "<b>"}});
    EXPECT_NE(
        complete.find("<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part><Part><PartNumber>2</"
                      "PartNumber><ETag>&lt;b&gt;</ETag></Part>"),
        std::string::npos);
    EXPECT_NE(render_restore(3, "Bulk").find("<Days>3</Days><GlacierJobParameters><Tier>Bulk</Tier>"),
              std::string::npos);
    EXPECT_EQ(parse_upload_id(as_bytes(
                  "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")),
              "u");
}

TEST(S3Multipart, SlicesPartsWithoutCopying) {
    const std::vector<ByteView> parts = {as_bytes("abc"), ByteView(), as_bytes("defgh")};
    const auto text = [&](std::uint64_t offset, std::uint64_t length) {
        std::string joined;
        for (const ByteView view : slice_parts(parts, offset, length))
            joined += std::string(as_text(view)) + "|";
        return joined;
    };
    EXPECT_EQ(text(0, 100), "abc|defgh|");
    EXPECT_EQ(text(2, 2), "c|d|");
    EXPECT_EQ(text(3, 5), "defgh|");
    EXPECT_EQ(text(8, 1), "");
    EXPECT_EQ(slice_parts(parts, 4, 1).at(0).data(), parts[2].data() + 1);
}

TEST(S3Multipart, NeedsNoMoreThanTenThousandParts) {
    constexpr std::uint64_t mebibyte = 1 << 20;
    EXPECT_EQ(part_size_for(100 * mebibyte, 16 * mebibyte), 16 * mebibyte);
    for (const std::uint64_t size : {160'000 * mebibyte, 160'001 * mebibyte, std::uint64_t{5} << 40}) {
        const std::uint64_t part = part_size_for(size, 16 * mebibyte);
        EXPECT_LE((size + part - 1) / part, 10'000U);
    }
}

} // namespace

} // namespace holdfast::test
