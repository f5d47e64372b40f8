#include "repository/protocol/pack_copier.h"

#include "repository/pack/pack_seal.h"
#include "repository/protocol/protocol_object.h"

namespace holdfast {

PackCopier::OpenPack& PackCopier::open_pack(const PackId& like) {
    const std::pair stream(like.kind, like.cls);
    if (const auto open = open_.find(stream); open != open_.end()) {
        if (open->second.frames.size() < pack_bytes_) return open->second;
        put(open->second);
        open_.erase(open);
    }
    OpenPack& pack = open_[stream];
    pack.id = {run_.id(), next_sequence_++, like.kind, like.cls};
    return pack;
}

void PackCopier::copy(const LoadedPack& pack, ByteView bytes, const std::vector<std::size_t>& positions) {
    for (const std::size_t position : positions) {
        FrameRecord record = pack.tail.frames[position];
        const std::size_t from = record.origin;
        OpenPack& open = open_pack(pack.id);
        const auto next = static_cast<std::uint32_t>(open.tail.origins.size());
        const auto [origin, added] = open.origins.emplace(pack.origins[from], next);
        if (added) open.tail.origins.push_back({pack.origins[from], pack.envelopes[from]});
        record.origin = origin->second;
        const ByteView frame = bytes.subspan(pack.offsets[position], record.stored_length);
        open.frames.insert(open.frames.end(), frame.begin(), frame.end());
        copied_bytes_ += frame.size();
        open.tail.frames.push_back(std::move(record));
        targets_[pack.id].insert(open.id);
    }
}

void PackCopier::finish() {
    for (auto& [_, pack] : open_) put(pack);
    open_.clear();
}

std::vector<PackId> PackCopier::targets_of(const PackId& pack) const {
    const auto found = targets_.find(pack);
    if (found == targets_.end()) return {};
    return {found->second.begin(), found->second.end()};
}

void PackCopier::put(OpenPack& pack) {
    const std::string name = pack.id.name();
    const Bytes header = encode_pack_header({run_.writer(), pack.id, run_.envelope()});
    const Bytes tail = seal_pack_tail(pack.tail, run_.structure_secret().view(), pack.id);
    std::vector<ByteView> parts{header, pack.frames, tail};
    const Bytes footer = make_pack_footer(parts, tail.size(), name, run_);
    parts.emplace_back(footer);
    context_.store.put(name, parts, {}, {});
}

} // namespace holdfast
