#include "base/error.h"
#include "base/random.h"
#include "repository/adaptive_compressor.h"
#include "repository/compression.h"
#include "repository/incompressible.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr std::size_t frame_bytes = std::size_t{1} << 20;

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
    SeededRandom random(seed);
    Bytes data(size);
    random.fill(data);
    return data;
}

Bytes text(std::uint64_t seed, std::size_t size) {
    SeededRandom random(seed);
    Bytes data;
    while (data.size() < size) {
        // Small numbers more often than large ones, as words are.
        const std::string word = std::to_string(random.below(1 + random.below(20000))) + " ";
        data.insert(data.end(), word.begin(), word.end());
    }
    data.resize(size);
    return data;
}

// Pages with a header, growing keys, text of random length, and free space.
Bytes database_pages(std::uint64_t seed, std::size_t size) {
    SeededRandom random(seed);
    Bytes data;
    for (std::uint64_t row = 0; data.size() < size; ++row) {
        ByteWriter page;
        page.u64(row);
        page.u32(0x00048000);
        while (page.size() < 6000) {
            page.u64(row * 100 + page.size());
            page.raw(random_bytes(random.u64(), 16));
            page.raw(text(random.u64(), 40));
        }
        Bytes bytes = std::move(page).take();
        bytes.resize(8192);
        data.insert(data.end(), bytes.begin(), bytes.end());
    }
    data.resize(size);
    return data;
}

// Entropy-coded bytes, with a stuffed zero behind each 255, as in JPEG.
Bytes jpeg_like(std::uint64_t seed, std::size_t size) {
    Bytes data;
    for (const Byte byte : random_bytes(seed, size)) {
        data.push_back(byte);
        if (byte == 0xff) data.push_back(0);
    }
    data.resize(size);
    return data;
}

Bytes base64_of_random(std::uint64_t seed, std::size_t size) {
    const std::string encoded = to_base64(random_bytes(seed, size / 4 * 3));
    return {encoded.begin(), encoded.end()};
}

ErrorCode code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "no error";
    return ErrorCode::internal;
}

TEST(Compressor, what_goes_in_comes_out) {
    Compressor compressor;
    Decompressor decompressor;
    const std::vector<Bytes> frames{Bytes(),           Bytes(1, 7),          Bytes(100, 7),
                                    text(1, 50000),    random_bytes(2, 999), database_pages(3, frame_bytes),
                                    Bytes(frame_bytes)};
    for (const Bytes& raw : frames) {
        for (const int level : {1, 3, 12, 19}) {
            const CompressedFrame frame = compressor.compress(raw, level);
            Bytes back(raw.size());
            decompressor.decompress(frame.codec, frame.bytes, back);
            ASSERT_EQ(back, raw) << raw.size() << " bytes at level " << level;
        }
    }
}

TEST(Compressor, stores_what_gains_less_than_three_percent) {
    Compressor compressor;
    const Bytes noise = random_bytes(1, frame_bytes);
    EXPECT_EQ(compressor.compress(noise, 3).codec, Codec::stored);
    EXPECT_EQ(compressor.compress(noise, 3).bytes.data(), noise.data()) << "without a copy";
    // Zeros at the end: a twentieth of the frame is gained, or a fiftieth.
    Bytes some = noise;
    std::fill(some.end() - static_cast<std::ptrdiff_t>(frame_bytes / 20), some.end(), Byte{0});
    EXPECT_EQ(compressor.compress(some, 3).codec, Codec::zstd);
    some = noise;
    std::fill(some.end() - static_cast<std::ptrdiff_t>(frame_bytes / 50), some.end(), Byte{0});
    EXPECT_EQ(compressor.compress(some, 3).codec, Codec::stored);
}

TEST(Compressor, refuses_levels_that_there_are_not) {
    Compressor compressor;
    EXPECT_EQ(code_of([&] { compressor.compress(Bytes(100), 0); }), ErrorCode::usage);
    EXPECT_EQ(code_of([&] { compressor.compress(Bytes(100), 20); }), ErrorCode::usage);
}

TEST(Decompressor, refuses_any_other_length) {
    Compressor compressor;
    Decompressor decompressor;
    const Bytes raw = text(1, 10000);
    const CompressedFrame frame = compressor.compress(raw, 3);
    ASSERT_EQ(frame.codec, Codec::zstd);
    for (const std::size_t size : {0U, 1U, 9999U, 10001U, 20000U}) {
        Bytes out(size);
        EXPECT_EQ(code_of([&] { decompressor.decompress(Codec::zstd, frame.bytes, out); }),
                  ErrorCode::corrupt);
        EXPECT_EQ(code_of([&] { decompressor.decompress(Codec::stored, raw, out); }), ErrorCode::corrupt);
    }
}

TEST(Decompressor, cut_or_extended_frames_are_refused) {
    const Bytes raw = text(2, 3000);
    const Bytes stored = zstd_compress(raw, 3);
    Decompressor decompressor;
    Bytes out(raw.size());
    for (std::size_t size = 0; size < stored.size(); ++size) {
        ASSERT_EQ(code_of([&] { decompressor.decompress(Codec::zstd, ByteView(stored).first(size), out); }),
                  ErrorCode::corrupt);
    }
    Bytes longer = stored;
    longer.push_back(0);
    EXPECT_EQ(code_of([&] { decompressor.decompress(Codec::zstd, longer, out); }), ErrorCode::corrupt);
    Bytes twice = stored;
    twice.insert(twice.end(), stored.begin(), stored.end());
    Bytes both(2 * raw.size());
    EXPECT_EQ(code_of([&] { decompressor.decompress(Codec::zstd, twice, both); }), ErrorCode::corrupt);
}

// Not every change can be found without a checksum (the AEAD around it finds them); none may do harm.
TEST(Decompressor, changed_frames_are_refused_or_keep_their_length) {
    const Bytes raw = text(3, 2000);
    const Bytes stored = zstd_compress(raw, 3);
    Decompressor decompressor;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < stored.size(); ++i) {
        Bytes changed = stored;
        changed[i] ^= 0x55;
        Bytes out(raw.size());
        try {
            decompressor.decompress(Codec::zstd, changed, out);
        } catch (const Error& error) {
            ASSERT_EQ(error.code(), ErrorCode::corrupt);
            ++refused;
        }
    }
    EXPECT_GT(refused, 0u);
}

TEST(ZstdBodies, are_bounded) {
    const Bytes raw = text(4, 5000);
    EXPECT_EQ(zstd_decompress(zstd_compress(raw, 3), 5000, "a tail"), raw);
    EXPECT_EQ(code_of([&] { zstd_decompress(zstd_compress(raw, 3), 4999, "a tail"); }), ErrorCode::corrupt);
    // A few bytes that unpack to a gigabyte.
    const Bytes bomb = zstd_compress(Bytes(std::size_t{64} << 20), 3);
    EXPECT_LT(bomb.size(), 10000u);
    EXPECT_EQ(code_of([&] { zstd_decompress(bomb, frame_bytes, "a tail"); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { zstd_decompress(raw, 5000, "a tail"); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { zstd_decompress({}, 5000, "a tail"); }), ErrorCode::corrupt);
    EXPECT_EQ(zstd_decompress(zstd_compress({}, 3), 0, "a tail"), Bytes());
}

TEST(Codec, only_the_known_ones) {
    EXPECT_EQ(codec_from(0), Codec::stored);
    EXPECT_EQ(codec_from(1), Codec::zstd);
    EXPECT_EQ(code_of([] { codec_from(2); }), ErrorCode::incompatible);
}

TEST(IncompressibleDetector, recognises_what_does_not_compress) {
    IncompressibleDetector detector;
    for (const std::size_t size : {std::size_t{4096}, std::size_t{20000}, std::size_t{300000}, frame_bytes}) {
        for (std::uint64_t seed = 0; seed < 5; ++seed) {
            EXPECT_TRUE(detector.looks_incompressible(random_bytes(seed, size))) << size;
            EXPECT_TRUE(detector.looks_incompressible(jpeg_like(seed, size))) << size;
        }
    }
    const Bytes packed = zstd_compress(text(1, 4 * frame_bytes), 3);
    ASSERT_GT(packed.size(), frame_bytes);
    EXPECT_TRUE(detector.looks_incompressible(ByteView(packed).first(frame_bytes)));
}

TEST(IncompressibleDetector, lets_through_what_compresses) {
    IncompressibleDetector detector;
    for (const std::size_t size : {std::size_t{4096}, std::size_t{20000}, std::size_t{300000}, frame_bytes}) {
        for (std::uint64_t seed = 0; seed < 5; ++seed) {
            EXPECT_FALSE(detector.looks_incompressible(text(seed, size))) << size;
            EXPECT_FALSE(detector.looks_incompressible(database_pages(seed, size))) << size;
            EXPECT_FALSE(detector.looks_incompressible(base64_of_random(seed, size))) << size;
            EXPECT_FALSE(detector.looks_incompressible(Bytes(size, 0x20))) << size;
        }
    }
    // All bytes equally often, but in order.
    Bytes ramp(frame_bytes);
    for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<Byte>(i);
    EXPECT_FALSE(detector.looks_incompressible(ramp));
}

TEST(IncompressibleDetector, sees_parts_that_compress) {
    IncompressibleDetector detector;
    // A third text, two thirds photograph.
    Bytes mixed = random_bytes(1, frame_bytes);
    const Bytes words = text(1, frame_bytes / 3);
    std::copy(words.begin(), words.end(), mixed.begin() + 400000);
    EXPECT_FALSE(detector.looks_incompressible(mixed));
    // The same noise twice, at a distance that is no power of two.
    Bytes twice = random_bytes(2, frame_bytes);
    std::copy_n(twice.begin(), frame_bytes / 2, twice.begin() + 500001);
    EXPECT_FALSE(detector.looks_incompressible(twice));
}

TEST(IncompressibleDetector, small_frames_are_always_tried) {
    IncompressibleDetector detector;
    EXPECT_FALSE(detector.looks_incompressible({}));
    EXPECT_FALSE(detector.looks_incompressible(random_bytes(1, 4095)));
}

TEST(AdaptiveCompressor, reports_all_that_passed) {
    LevelChooser chooser(LevelSettings::fixed(5));
    FakeClock clock{Timestamp{}};
    AdaptiveCompressor compressor(chooser, clock);
    Decompressor decompressor;
    const Bytes words = text(1, frame_bytes);
    const Bytes noise = random_bytes(2, frame_bytes);
    const CompressedFrame first = compressor.compress(words, Effort::usual);
    EXPECT_EQ(first.codec, Codec::zstd);
    const std::size_t stored = first.bytes.size();
    Bytes back(frame_bytes);
    decompressor.decompress(first.codec, first.bytes, back);
    EXPECT_EQ(back, words);
    EXPECT_EQ(compressor.compress(noise, Effort::usual).codec, Codec::stored);

    const CompressionReport report = chooser.report();
    ASSERT_EQ(report.levels.size(), 1u);
    EXPECT_EQ(report.levels[0].level, 5);
    EXPECT_EQ(report.levels[0].frames, 1u);
    EXPECT_EQ(report.skipped_frames, 1u);
    EXPECT_EQ(report.skipped_bytes, frame_bytes);
    EXPECT_EQ(report.raw_bytes(), 2 * frame_bytes);
    EXPECT_EQ(report.stored_bytes(), frame_bytes + stored);
}

TEST(AdaptiveCompressor, spends_as_much_effort_as_is_asked_for) {
    LevelChooser chooser({});
    FakeClock clock{Timestamp{}};
    AdaptiveCompressor compressor(chooser, clock);
    const Bytes words = text(1, frame_bytes);
    EXPECT_EQ(compressor.compress(words, Effort::none).codec, Codec::stored);
    const std::size_t usual = compressor.compress(words, Effort::usual).bytes.size();
    EXPECT_LT(compressor.compress(words, Effort::thorough).bytes.size(), usual);

    const CompressionReport report = chooser.report();
    ASSERT_EQ(report.levels.size(), 2u);
    EXPECT_EQ(report.levels[0].level, LevelSettings{}.start);
    EXPECT_EQ(report.levels[1].level, LevelSettings{}.thorough);
    EXPECT_EQ(report.skipped_frames, 1u);
}

TEST(Decompressor, DecodesTheBeginningOfAFrame) {
    const Bytes raw = database_pages(3, frame_bytes);
    Compressor compressor;
    Decompressor decompressor;
    for (const int level : {1, 9}) {
        const CompressedFrame frame = compressor.compress(raw, level);
        ASSERT_EQ(frame.codec, Codec::zstd);
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{131'072},
                                       std::size_t{500'001}, raw.size() - 1, raw.size()}) {
            Bytes out(size);
            decompressor.decompress_beginning(frame.codec, frame.bytes, raw.size(), out);
            EXPECT_TRUE(std::equal(out.begin(), out.end(), raw.begin())) << size;
        }
        // The whole of a frame behind a part of one.
        Bytes all(raw.size());
        decompressor.decompress(frame.codec, frame.bytes, all);
        EXPECT_EQ(all, raw);
    }
}

TEST(Decompressor, TheBeginningOfWhatIsNoWholeFrameOfThatLengthIsRefused) {
    const Bytes raw = text(4, frame_bytes);
    Compressor compressor;
    Decompressor decompressor;
    const CompressedFrame frame = compressor.compress(raw, 1);
    Bytes out(1000);
    const auto refuses = [&](Codec codec, ByteView stored, std::size_t raw_bytes, std::size_t wanted) {
        out.resize(wanted);
        EXPECT_THROW(decompressor.decompress_beginning(codec, stored, raw_bytes, out), Error);
    };
    refuses(Codec::zstd, frame.bytes, raw.size() + 1, 1000);
    refuses(Codec::zstd, frame.bytes, raw.size(), raw.size() + 1);
    refuses(Codec::zstd, frame.bytes.first(frame.bytes.size() / 2), raw.size(), raw.size() - 1);
    refuses(Codec::zstd, raw, raw.size(), 1000);
    refuses(Codec::zstd, {}, raw.size(), 1000);
    refuses(Codec::stored, raw, raw.size() - 1, 1000);
    out.resize(1000);
    decompressor.decompress_beginning(Codec::stored, raw, raw.size(), out);
    EXPECT_TRUE(std::equal(out.begin(), out.end(), raw.begin()));
}

} // namespace
} // namespace holdfast
