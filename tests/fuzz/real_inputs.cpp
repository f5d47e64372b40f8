#include "fuzz/real_inputs.h"

namespace holdfast {

std::vector<RealInput> real_inputs() {
    std::vector<RealInput> inputs;
    add_nodes(inputs);
    add_objects(inputs);
    add_protocol(inputs);
    add_keys(inputs);
    add_texts(inputs);
    add_postgres(inputs);
    add_wal(inputs);
    add_requests(inputs);
    return inputs;
}

} // namespace holdfast
