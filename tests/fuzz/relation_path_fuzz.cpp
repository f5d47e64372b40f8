// Paths below a data directory: names of relations that are accepted are written back the same, and what is
// left out follows from the kind.
#include "base/bytes.h"
#include "postgres/files/exclusions.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    using namespace holdfast::postgres;
    const std::string_view text = as_text({data, size});
    const auto expect = [](bool condition) {
        if (!condition) std::abort();
    };
    if (const auto file = parse_relation_file_name(text)) expect(file->str() == text);
    const DataPath path = parse_data_path(text);
    const Exclusions exclusions(15);
    const Inclusion inclusion = exclusions.of(text, false);
    switch (path.kind) {
    case PathKind::relation: {
        const std::size_t version = text.find("/PG_");
        const std::string_view directory =
            version == text.npos ? "" : text.substr(version + 1, text.find('/', version + 1) - version - 1);
        expect(relation_path(path.segment(), directory) == text);
        expect(inclusion == Inclusion::copy);
        break;
    }
    case PathKind::temporary_relation:
        expect(RelationExclusions({}).skips(text.substr(text.rfind('/') + 1)));
        break;
    case PathKind::relation_cache:
        expect(inclusion == Inclusion::skip);
        break;
    case PathKind::control_file:
    case PathKind::filenode_map:
    case PathKind::slru:
        expect(inclusion == Inclusion::copy);
        break;
    default:
        break;
    }
    return 0;
}
