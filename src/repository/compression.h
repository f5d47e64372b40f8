// Compression of frames, and the bounded way back.
#pragma once

#include "base/bytes.h"

#include <memory>

namespace holdfast {

// As it stands in packs (docs/format.md, section 5).
enum class Codec : std::uint8_t { stored = 0, zstd = 1 };

// Throws Error(incompatible) on a codec that this version does not know.
Codec codec_from(std::uint8_t number);

constexpr int lowest_zstd_level = 1;
constexpr int highest_zstd_level = 19;

// What a frame's compression may cost. `thorough` is for the little that is stored anew of what has changed
// in place: it stays for long, and the time goes into reading.
enum class Effort { none, usual, thorough };

// A frame as it goes to encryption. `bytes` is either the raw bytes themselves (stored) or stands in the
// Compressor, where the next call overwrites it.
struct CompressedFrame {
    Codec codec = Codec::stored;
    ByteView bytes;
};

// Holds zstd's working memory, so that frames do not allocate: one per worker. Not thread-safe.
class Compressor {
  public:
    Compressor();
    ~Compressor();
    Compressor(Compressor&&) noexcept;
    Compressor& operator=(Compressor&&) noexcept;

    // Compresses at `level`. What shrinks by less than 3% is stored as it is: reading it back costs less
    // then.
    CompressedFrame compress(ByteView raw, int level);
    // What is used now, in bytes.
    std::size_t memory_bytes() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// One per worker. Not thread-safe.
class Decompressor {
  public:
    Decompressor();
    ~Decompressor();
    Decompressor(Decompressor&&) noexcept;
    Decompressor& operator=(Decompressor&&) noexcept;

    // Fills all of `out`, whose size is the frame's raw length. Throws Error(corrupt) when `stored` is not
    // one whole frame of exactly that many bytes; takes no memory that depends on what `stored` claims.
    void decompress(Codec codec, ByteView stored, MutableByteView out);
    // Fills `out` with the beginning of a frame of `raw_bytes`, and decodes no more of it than that takes. Of
    // what is behind nothing is said.
    void decompress_beginning(Codec codec, ByteView stored, std::size_t raw_bytes, MutableByteView out);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// One zstd frame of all of `raw`, whatever it gains: for tails of packs and other small bodies.
Bytes zstd_compress(ByteView raw, int level);
// The way back. Throws Error(corrupt), naming `what`, unless `stored` is one whole zstd frame that says how
// long its content is and has at most `limit_bytes` of it.
Bytes zstd_decompress(ByteView stored, std::size_t limit_bytes, std::string_view what);

} // namespace holdfast
