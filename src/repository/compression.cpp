#include "repository/compression.h"

#include "base/error.h"

#include <string>

#include <zstd.h>
#include <zstd_errors.h>

namespace holdfast {

namespace {

// The lowest level by itself looks for seven equal bytes, and much that repeats in pages and logs of
// databases is shorter (docs/decisions/0010-matches-of-five-bytes.md).
constexpr int shortest_match_at_lowest_level = 5;

struct FreeCompression {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompression {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using CompressionContext = std::unique_ptr<ZSTD_CCtx, FreeCompression>;
using DecompressionContext = std::unique_ptr<ZSTD_DCtx, FreeDecompression>;

CompressionContext new_compression() {
    CompressionContext context(ZSTD_createCCtx());
    if (!context) throw Error(ErrorCode::internal, "there is no memory for compression");
    return context;
}

DecompressionContext new_decompression() {
    DecompressionContext context(ZSTD_createDCtx());
    if (!context) throw Error(ErrorCode::internal, "there is no memory for decompression");
    return context;
}

// The bytes written, or 0 when they do not fit in `out`.
std::size_t compress_into(ZSTD_CCtx* context, ByteView raw, int level, MutableByteView out) {
    if (level < lowest_zstd_level || level > highest_zstd_level) {
        throw Error(ErrorCode::usage, "there is no compression level " + std::to_string(level),
                    "choose one from 1 to 19");
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    // 0: as the level has it.
    ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch,
                           level == lowest_zstd_level ? shortest_match_at_lowest_level : 0);
    const std::size_t size = ZSTD_compress2(context, out.data(), out.size(), raw.data(), raw.size());
    if (!ZSTD_isError(size)) return size;
    if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall) return 0;
    throw Error(ErrorCode::internal, std::string("zstd did not compress: ") + ZSTD_getErrorName(size));
}

[[noreturn]] void corrupt(std::string_view what, std::string_view why) {
    throw Error(ErrorCode::corrupt, std::string(what) + " does not decompress: " + std::string(why));
}

// `stored` must begin as a zstd frame with a known content size.
std::uint64_t claimed_content_size(ByteView stored, std::string_view what) {
    const unsigned long long content = ZSTD_getFrameContentSize(stored.data(), stored.size());
    if (content == ZSTD_CONTENTSIZE_ERROR) corrupt(what, "it is not zstd");
    if (content == ZSTD_CONTENTSIZE_UNKNOWN) corrupt(what, "it does not say how long its content is");
    return content;
}

// `stored` must be one zstd frame with a known content size, and nothing behind it.
std::uint64_t checked_content_size(ByteView stored, std::string_view what) {
    const std::uint64_t content = claimed_content_size(stored, what);
    const std::size_t size = ZSTD_findFrameCompressedSize(stored.data(), stored.size());
    if (ZSTD_isError(size)) corrupt(what, ZSTD_getErrorName(size));
    if (size != stored.size()) corrupt(what, "there are bytes after its end");
    return content;
}

void decompress_into(ZSTD_DCtx* context, ByteView stored, MutableByteView out, std::string_view what) {
    const std::size_t size =
        ZSTD_decompressDCtx(context, out.data(), out.size(), stored.data(), stored.size());
    if (ZSTD_isError(size)) corrupt(what, ZSTD_getErrorName(size));
    if (size != out.size()) corrupt(what, "it is shorter than it says");
}

} // namespace

Codec codec_from(std::uint8_t number) {
    if (number > static_cast<std::uint8_t>(Codec::zstd)) {
        throw Error(ErrorCode::incompatible, "a frame has the unknown codec " + std::to_string(number),
                    "read it with a newer version of Holdfast");
    }
    return static_cast<Codec>(number);
}

struct Compressor::State {
    CompressionContext context = new_compression();
    Bytes out;
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

CompressedFrame Compressor::compress(ByteView raw, int level) {
    // Room for what is worth keeping only, so that zstd itself gives up on the rest.
    const std::size_t worth_keeping = raw.size() - (raw.size() * 3 + 99) / 100;
    if (state_->out.size() < worth_keeping) state_->out.resize(worth_keeping);
    const MutableByteView out = MutableByteView(state_->out).first(worth_keeping);
    const std::size_t size = compress_into(state_->context.get(), raw, level, out);
    if (size == 0) return {.codec = Codec::stored, .bytes = raw};
    return {.codec = Codec::zstd, .bytes = out.first(size)};
}

std::size_t Compressor::memory_bytes() const {
    return ZSTD_sizeof_CCtx(state_->context.get()) + state_->out.capacity();
}

struct Decompressor::State {
    DecompressionContext context = new_decompression();
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

void Decompressor::decompress(Codec codec, ByteView stored, MutableByteView out) {
    constexpr std::string_view what = "a frame";
    if (codec == Codec::stored) {
        if (stored.size() != out.size()) corrupt(what, "it does not have the length it should");
        if (!out.empty()) std::memcpy(out.data(), stored.data(), out.size());
        return;
    }
    if (checked_content_size(stored, what) != out.size())
        corrupt(what, "it does not have the length it should");
    decompress_into(state_->context.get(), stored, out, what);
}

void Decompressor::decompress_beginning(Codec codec, ByteView stored, std::size_t raw_bytes,
                                        MutableByteView out) {
    constexpr std::string_view what = "a frame";
    if (out.size() == raw_bytes) return decompress(codec, stored, out);
    const std::uint64_t content = codec == Codec::stored ? stored.size() : claimed_content_size(stored, what);
    if (content != raw_bytes || out.size() > raw_bytes)
        corrupt(what, "it does not have the length it should");
    if (codec == Codec::stored) {
        if (!out.empty()) std::memcpy(out.data(), stored.data(), out.size());
        return;
    }
    ZSTD_DCtx* const context = state_->context.get();
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    ZSTD_inBuffer from{stored.data(), stored.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos < to.size) {
        const std::size_t before = from.pos + to.pos;
        const std::size_t left = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(left)) corrupt(what, ZSTD_getErrorName(left));
        if (from.pos + to.pos == before || (left == 0 && to.pos < to.size))
            corrupt(what, "it is shorter than it says");
    }
}

Bytes zstd_compress(ByteView raw, int level) {
    const CompressionContext context = new_compression();
    Bytes out(ZSTD_compressBound(raw.size()));
    out.resize(compress_into(context.get(), raw, level, out));
    return out;
}

Bytes zstd_decompress(ByteView stored, std::size_t limit_bytes, std::string_view what) {
    const std::uint64_t content = checked_content_size(stored, what);
    if (content > limit_bytes) corrupt(what, "its content is longer than it may be");
    Bytes out(static_cast<std::size_t>(content));
    const DecompressionContext context = new_decompression();
    decompress_into(context.get(), stored, out, what);
    return out;
}

} // namespace holdfast
