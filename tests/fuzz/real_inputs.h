// Inputs for the fuzz targets that are not made up: what the encoders write, and what servers and users give.
// They are the seeds of the kept corpora, and the same in each run.
#pragma once

#include "base/bytes.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct RealInput {
    std::string target; // "node" for node_fuzz.cpp
    std::string name;   // of its file: what it is
    Bytes bytes;
};

std::vector<RealInput> real_inputs();

// The parts that it is made of.
void add_nodes(std::vector<RealInput>& inputs);
void add_objects(std::vector<RealInput>& inputs);
void add_protocol(std::vector<RealInput>& inputs);
void add_keys(std::vector<RealInput>& inputs);
void add_texts(std::vector<RealInput>& inputs);
void add_postgres(std::vector<RealInput>& inputs);
void add_wal(std::vector<RealInput>& inputs);
void add_requests(std::vector<RealInput>& inputs);

// `selector` bytes, then `rest`: how targets that share a program are told apart.
inline Bytes selected(std::initializer_list<Byte> selector, ByteView rest) {
    Bytes bytes(selector);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    return bytes;
}
inline Bytes selected(std::initializer_list<Byte> selector, std::string_view rest) {
    return selected(selector, as_bytes(rest));
}

} // namespace holdfast
