#include "postgres/wal/wal_record.h"

#include "base/error.h"
#include "base/little_endian.h"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace holdfast::postgres {

// The headers of a record's parts, read in order. After a read past their end `short_` stays set.
class WalPartHeaders {
  public:
    explicit WalPartHeaders(ByteView bytes) : bytes_(bytes) {}

    template <typename T>
    T take() {
        if (bytes_.size() < sizeof(T)) {
            short_ = true;
            return 0;
        }
        const T value = load_little<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }
    bool ran_out() const { return short_; }
    ByteView rest() const { return bytes_; }

  private:
    ByteView bytes_;
    bool short_ = false;
};

namespace {

// What a block id says when it is none.
constexpr std::uint8_t id_data_short = 255;
constexpr std::uint8_t id_data_long = 254;
constexpr std::uint8_t id_origin = 253;
constexpr std::uint8_t id_top_level_xid = 252;

constexpr std::uint8_t fork_mask = 0x0f;
constexpr std::uint8_t block_has_image = 0x10;
constexpr std::uint8_t block_has_data = 0x20;
constexpr std::uint8_t block_will_init = 0x40;
constexpr std::uint8_t block_same_relation = 0x80;

constexpr std::uint8_t image_has_hole = 0x01;
constexpr std::size_t block_bytes = 8192;

// A block image's flags but image_has_hole, which is the same everywhere.
struct ImageFlags {
    bool apply = false;
    ImageCompression compression = ImageCompression::none;
    bool valid = true;
};

ImageFlags image_flags(std::uint8_t flags, int version) {
    if (version < 15)
        return {(flags & 0x04) != 0, (flags & 0x02) != 0 ? ImageCompression::pglz : ImageCompression::none,
                true};
    const bool apply = (flags & 0x02) != 0;
    switch (flags & 0x1c) {
    case 0x00:
        return {apply, ImageCompression::none, true};
    case 0x04:
        return {apply, ImageCompression::pglz, true};
    case 0x08:
        return {apply, ImageCompression::lz4, true};
    case 0x10:
        return {apply, ImageCompression::zstd, true};
    default:
        return {apply, ImageCompression::none, false};
    }
}

std::string_view check_image(const BlockImage& image, std::size_t length, bool has_hole) {
    const bool compressed = image.compression != ImageCompression::none;
    if (has_hole && (image.hole_offset == 0 || image.hole_length == 0 || length == block_bytes))
        return "an image's hole is not one";
    if (!has_hole && (image.hole_offset != 0 || image.hole_length != 0))
        return "an image has a hole unannounced";
    if (length > block_bytes || (compressed && length == block_bytes) ||
        (!compressed && !has_hole && length != block_bytes) ||
        image.hole_offset + image.hole_length > block_bytes)
        return "an image has an impossible length";
    return {};
}

// Reads the image header of a block. Leaves the image's length in `length`.
std::string_view take_image(WalPartHeaders& headers, int version, BlockImage& image, std::size_t& length) {
    length = headers.take<std::uint16_t>();
    image.hole_offset = headers.take<std::uint16_t>();
    const auto raw = headers.take<std::uint8_t>();
    const ImageFlags flags = image_flags(raw, version);
    if (!flags.valid) return "an image is compressed in two ways";
    const bool has_hole = (raw & image_has_hole) != 0;
    image.apply = flags.apply;
    image.compression = flags.compression;
    image.hole_length = 0;
    if (flags.compression == ImageCompression::none)
        image.hole_length =
            length <= block_bytes ? static_cast<std::uint16_t>(block_bytes - length) : std::uint16_t{0};
    else if (has_hole)
        image.hole_length = headers.take<std::uint16_t>();
    if (headers.ran_out()) return {};
    return check_image(image, length, has_hole);
}

} // namespace

std::size_t RelationFileHash::operator()(const RelationFile& file) const {
    std::uint64_t value = (std::uint64_t{file.database} << 32 | file.number) * 0x9e3779b97f4a7c15ULL;
    value ^= std::uint64_t{file.tablespace} * 0xc2b2ae3d27d4eb4fULL;
    return value ^ value >> 32;
}

bool is_resource_manager(std::uint8_t id, int version) {
    return id <= static_cast<std::uint8_t>(ResourceManager::logical_message) ||
           (version >= 15 && id >= static_cast<std::uint8_t>(ResourceManager::first_custom));
}

WalRecordParser::WalRecordParser(int version) : version_(version) {
    if (version < oldest_wal_version || version > newest_wal_version)
        throw Error(ErrorCode::usage, fmt::format("the log of PostgreSQL {} cannot be read", version),
                    fmt::format("versions {} to {} are supported", oldest_wal_version, newest_wal_version));
    blocks_.reserve(block_id_max + 1);
}

// Reads the header of one block. `relation` is that of the block before, and becomes this one's.
std::string_view WalRecordParser::parse_block(WalPartHeaders& headers, std::uint8_t id,
                                              std::optional<RelationFile>& relation) {
    if (!blocks_.empty() && id <= blocks_.back().id) return "its blocks are out of order";
    BlockReference& block = blocks_.emplace_back();
    block.id = id;
    const auto flags = headers.take<std::uint8_t>();
    if ((flags & fork_mask) > static_cast<std::uint8_t>(Fork::init)) return "a block is of an unknown fork";
    block.fork = static_cast<Fork>(flags & fork_mask);
    block.will_init = (flags & block_will_init) != 0;
    block.has_image = (flags & block_has_image) != 0;
    PartLengths& lengths = lengths_[blocks_.size() - 1];
    lengths.data = headers.take<std::uint16_t>();
    lengths.image = 0;
    if (((flags & block_has_data) != 0) != (lengths.data != 0)) return "a block's data is not as announced";
    if (block.has_image)
        if (const std::string_view wrong = take_image(headers, version_, block.image, lengths.image);
            !wrong.empty())
            return wrong;
    if ((flags & block_same_relation) == 0) {
        relation.emplace();
        relation->tablespace = headers.take<std::uint32_t>();
        relation->database = headers.take<std::uint32_t>();
        relation->number = headers.take<std::uint32_t>();
    } else if (!relation) {
        return "a block is of the same relation as none before it";
    }
    block.relation = *relation;
    block.block = headers.take<std::uint32_t>();
    return {};
}

std::optional<std::string_view> WalRecordParser::parse(ByteView bytes, WalRecord& record) {
    record.bytes = bytes;
    record.xid = load_little<std::uint32_t>(bytes.data() + 4);
    record.previous = Lsn{load_little<std::uint64_t>(bytes.data() + 8)};
    record.info = bytes[16];
    record.resource_manager = bytes[17];
    record.origin = 0;
    record.top_level_xid = 0;
    record.main_data = {};
    record.blocks = {};
    blocks_.clear();

    WalPartHeaders headers(bytes.subspan(wal_record_header_bytes));
    std::size_t data_bytes = 0;
    std::optional<RelationFile> relation;
    while (headers.rest().size() > data_bytes) {
        const auto id = headers.take<std::uint8_t>();
        if (id == id_data_short || id == id_data_long) {
            // The main data is always last.
            data_bytes += id == id_data_short ? headers.take<std::uint8_t>() : headers.take<std::uint32_t>();
            break;
        }
        if (id == id_origin) {
            record.origin = headers.take<std::uint16_t>();
        } else if (id == id_top_level_xid && version_ >= 14) {
            record.top_level_xid = headers.take<std::uint32_t>();
        } else if (id <= block_id_max) {
            if (const std::string_view wrong = parse_block(headers, id, relation); !wrong.empty())
                return wrong;
            const PartLengths& lengths = lengths_[blocks_.size() - 1];
            data_bytes += lengths.image + lengths.data;
        } else {
            return "it has a part of an unknown kind";
        }
    }
    ByteView rest = headers.rest();
    if (headers.ran_out() || rest.size() != data_bytes) return "its parts do not add up to its length";
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const auto [image, data] = lengths_[i];
        blocks_[i].image.bytes = rest.first(image);
        blocks_[i].data = rest.subspan(image, data);
        rest = rest.subspan(image + data);
    }
    record.main_data = rest;
    record.blocks = blocks_;
    return std::nullopt;
}

} // namespace holdfast::postgres
