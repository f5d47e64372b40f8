// The files of directory leaves, compared with their digests. Internal to verify_repository.
#pragma once

#include "service/content_reading.h"
#include "service/segment_uses.h"

#include <string_view>

namespace holdfast {

// One a thread. The verification and the uses must outlive it.
class FileCheck {
  public:
    FileCheck(Verification& verification, SegmentUses& uses)
        : v_(verification), uses_(uses), reading_(verification) {}

    // Every file of the leaf. The segments of large ones go to the uses, for SegmentCheck. A file that is
    // wrong or cannot be read becomes a finding, and the others are checked all the same. Throws
    // Error(cancelled), and what says nothing about the repository.
    void check_leaf(const Verification::ListedLeaf& listed);

  private:
    void check_entry(const TreeEntry& file, std::uint32_t domain_number);
    // Whether the file was compared.
    bool check_file(const TreeEntry& file, std::uint32_t domain_number);
    bool is_one_blob(const TreeEntry& file, const Extents& extents);
    void check_extents(const TreeEntry& file, const Extents& extents, ContentReading::Domain& tools);
    bool check_signatures(const TreeEntry& file, const SegmentGroups& groups, std::uint32_t domain_number,
                          ContentReading::Domain& tools);
    void wrong_file(const TreeEntry& file, const FrameAddress& place, std::string_view what);
    void mark_bad(const TreeEntry& file);

    Verification& v_;
    SegmentUses& uses_;
    ContentReading reading_;
};

} // namespace holdfast
