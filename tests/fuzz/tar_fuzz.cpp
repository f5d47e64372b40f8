// An archive that a server sends: an Error, or entries with paths that stay inside, and as much content as
// each said. The first byte chooses the size of the pieces in which it arrives, which change nothing.
#include "base/error.h"
#include "postgres/server/tar_reader.h"

#include <cstdlib>
#include <optional>
#include <string>

namespace {

using namespace holdfast;
using namespace holdfast::postgres;

void expect(bool condition) {
    if (!condition) std::abort();
}

// Writes down what it is told, so that two readings can be compared.
class Protocol final : public TarVisitor {
  public:
    void entry(const TarEntry& entry) override {
        expect(!open_);
        open_ = true;
        left_ = entry.size;
        expect(!entry.path.starts_with('/') && !entry.path.ends_with('/'));
        expect(("/" + entry.path + "/").find("/../") == std::string::npos);
        expect(("/" + entry.path).find("//") == std::string::npos);
        expect(entry.kind == TarEntry::Kind::file || entry.size == 0);
        text += entry.path + '\0' + entry.link_target + '\0' + std::to_string(entry.size) + ' ' +
                std::to_string(entry.mode);
    }
    void data(ByteView piece) override {
        expect(open_ && !piece.empty() && piece.size() <= left_);
        left_ -= piece.size();
        text += as_text(piece);
    }
    void end_entry() override {
        expect(open_ && left_ == 0);
        open_ = false;
    }

    std::string text;

  private:
    bool open_ = false;
    std::uint64_t left_ = 0;
};

// Nothing: it was refused.
std::optional<std::string> read(ByteView archive, std::size_t piece) {
    Protocol protocol;
    TarReader reader(protocol);
    try {
        for (std::size_t at = 0; at < archive.size(); at += piece)
            reader.take(archive.subspan(at, std::min(piece, archive.size() - at)));
        reader.finish();
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::corrupt);
        return std::nullopt;
    }
    return protocol.text;
}

// Makes every header's checksum right, so that what lies behind it is reached.
Bytes with_checksums(ByteView archive) {
    constexpr std::size_t block = 512, checksum_at = 148, checksum_length = 8;
    Bytes mended(archive.begin(), archive.end());
    for (std::size_t at = 0; at + block <= mended.size(); at += block) {
        unsigned sum = 0;
        for (std::size_t i = 0; i < block; ++i)
            sum += i >= checksum_at && i < checksum_at + checksum_length ? unsigned{' '} : mended[at + i];
        for (std::size_t i = 0; i < checksum_length - 2; ++i)
            mended[at + checksum_at + i] =
                static_cast<Byte>('0' + (sum >> (3 * (checksum_length - 3 - i)) & 7));
        mended[at + checksum_at + checksum_length - 2] = 0;
        mended[at + checksum_at + checksum_length - 1] = ' ';
    }
    return mended;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const ByteView archive(data + 2, size - 2);
    const std::size_t piece = 1 + 7 * std::size_t{data[0]};
    const Bytes mended = data[1] % 2 == 0 ? Bytes(archive.begin(), archive.end()) : with_checksums(archive);
    expect(read(mended, piece) == read(mended, mended.size() + 1));
    return 0;
}
